"""What an RBM over joint embeddings says of a pair: log p(x, y) - log p(x) - log p(y).

K cut columns u = [x; y], H hidden units. The machine lives in white columns z = u A; in u it has
precision L = A S^-1 A' and p(u | h) = N(L^-1 (r + G h), L^-1) with r = A S^-1 b and G = A S^-1 W.
Integrating one block out leaves a fully connected Boltzmann machine over h, whose sum is exact
for few hidden units and is otherwise taken by the TAP expansion (Plefka 1982; within 0.05 nat of
exact on trained machines). Pairs are ranked by PMI because the joint density prefers the most
generic text.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.rbm.machine import RBM
from models.rbm.units import LOG_2PI
from models.rbm.whitening import Whitener

EXACT_HIDDEN = 12
TAP_SWEEPS = 200
TAP_TOLERANCE = 1e-7
DAMPING = 0.5


@dataclass(frozen=True, slots=True)
class JointMachine:
    """A Gaussian RBM in the space where image and text columns are apart.

    Attributes:
        precision: L, (K, K).
        pull: r, (K,).
        push: G, (K, H).
        hbias: (H,).
        constant: b' S^-1 b / 2.
        split: how many columns are the image's.
        log_z: log of the integral of exp(-F(u)) over u.
    """

    precision: Tensor
    pull: Tensor
    push: Tensor
    hbias: Tensor
    constant: float
    split: int
    log_z: float

    def free_energy(self, rows: Tensor) -> Tensor:
        """F(u), (N,), for cut rows (N, K)."""
        quadratic = ((rows @ self.precision) * rows).sum(-1) / 2 - rows @ self.pull
        hidden = F.softplus(self.hbias + rows @ self.push).sum(-1)
        return quadratic + self.constant - hidden

    def log_marginal(self, rows: Tensor, block: str, *, exact: bool = False) -> Tensor:
        """Log of the integral of exp(-F) over the other block, (N,); not normalised.

        Args:
            rows: (N, K_x) or (N, K_y), the columns of `block`.
            block: "image" or "text".
            exact: sum all hidden states instead of the TAP expansion.
        """
        image, text = slice(0, self.split), slice(self.split, None)
        own, other = (image, text) if block == "image" else (text, image)
        factor = torch.linalg.cholesky(self.precision[other, other])
        # What pulls at the block that is integrated out, for h = 0: r_o - L_oe e.
        pull = self.pull[other] - rows @ self.precision[own, other]
        solved = torch.cholesky_solve(pull.T, factor).T
        pushed = torch.cholesky_solve(self.push[other], factor)
        coupling = self.push[other].T @ pushed
        bias = self.hbias + rows @ self.push[own] + pull @ pushed
        quadratic = ((rows @ self.precision[own, own]) * rows).sum(-1) / 2
        constant = (pull * solved).sum(-1) / 2 - quadratic + rows @ self.pull[own] - self.constant
        volume = factor.shape[0] * LOG_2PI / 2 - factor.diagonal().log().sum()
        total = exact_log_sum(bias, coupling) if exact else tap_log_sum(bias, coupling)
        return constant + volume + total

    def pointwise_mutual_information(self, rows: Tensor, *, exact: bool = False) -> Tensor:
        """PMI of image and text in nats, (N,), for cut rows (N, K)."""
        image = self.log_marginal(rows[:, : self.split], "image", exact=exact)
        text = self.log_marginal(rows[:, self.split :], "text", exact=exact)
        return -self.free_energy(rows) - image - text + self.log_z


def joint_machine(machine: RBM, whitener: Whitener, log_z: float) -> JointMachine:
    """Carry a machine over white columns back to the cut ones.

    Args:
        machine: Gaussian, with K visible units.
        whitener: the one its rows were whitened by.
        log_z: of the machine over white columns.

    Raises:
        ValueError: the machine is not Gaussian or of another width.
    """
    if machine.visible != "gaussian" or machine.n_visible != whitener.n_kept:
        raise ValueError(
            f"a joint machine is Gaussian with {whitener.n_kept} visible units, this one is "
            f"{machine.visible} with {machine.n_visible}"
        )
    scaled = whitener.mix * machine.precision().double()
    vbias = machine.vbias.double()
    return JointMachine(
        precision=scaled @ whitener.mix.T,
        pull=scaled @ vbias,
        push=scaled @ machine.weight.double(),
        hbias=machine.hbias.double(),
        constant=float((vbias.square() * machine.precision().double()).sum() / 2),
        split=whitener.split,
        log_z=log_z - whitener.log_det,
    )


def exact_log_sum(bias: Tensor, coupling: Tensor) -> Tensor:
    """Log of the sum over h of exp(bias h + h' coupling h / 2), (N,), over all 2^H states.

    Raises:
        ValueError: there are more than 12 hidden units.
    """
    hidden = bias.shape[-1]
    if hidden > EXACT_HIDDEN:
        raise ValueError(f"{hidden} hidden units are too many to sum exactly; use tap_log_sum")
    states = ((torch.arange(2**hidden)[:, None] >> torch.arange(hidden)) & 1).double()
    own = ((states @ coupling) * states).sum(-1) / 2
    return torch.logsumexp(bias @ states.T + own, -1)


def tap_log_sum(bias: Tensor, coupling: Tensor) -> Tensor:
    """The same by the TAP expansion to second order, (N,); each row on its own."""
    mean = tap_means(bias, coupling)
    diagonal = coupling.diagonal()
    bias = bias + diagonal / 2  # h^2 = h
    pairs = coupling - torch.diag(diagonal)
    variance = mean * (1 - mean)
    entropy = -(torch.xlogy(mean, mean) + torch.xlogy(1 - mean, 1 - mean)).sum(-1)
    value = (bias * mean).sum(-1) + ((mean @ pairs) * mean).sum(-1) / 2 + entropy
    return value + ((variance @ pairs.square()) * variance).sum(-1) / 4


def tap_means(bias: Tensor, coupling: Tensor) -> Tensor:
    """Mean activities (N, H) at the fixed point of the TAP equations; each row on its own."""
    diagonal = coupling.diagonal()
    bias = bias + diagonal / 2
    pairs = coupling - torch.diag(diagonal)
    squares = pairs.square()
    mean = torch.sigmoid(bias)
    done = torch.zeros(len(bias), dtype=torch.bool, device=bias.device)
    for _ in range(TAP_SWEEPS):
        variance = mean * (1 - mean)
        reaction = (0.5 - mean) * (variance @ squares)
        drawn = torch.sigmoid(bias + mean @ pairs + reaction)
        moved = torch.where(done[:, None], mean, torch.lerp(mean, drawn, DAMPING))
        # A row that has settled stays, so no row depends on its neighbours.
        done = done | ((moved - mean).abs().amax(-1) < TAP_TOLERANCE)
        mean = moved
        if bool(done.all()):
            break
    return mean
