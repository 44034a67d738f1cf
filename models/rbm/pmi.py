"""What an RBM over joint embeddings says of a pair: log p(x, y) - log p(x) - log p(y).

K cut columns u = [x; y], H hidden units. The machine lives in white columns z = u A; in u it has
precision L = A S^-1 A' and p(u | h) = N(L^-1 (r + G h), L^-1) with r = A S^-1 b and G = A S^-1 W.
Integrating one block out leaves a fully connected Boltzmann machine over h, whose sum is exact
for few hidden units and is otherwise taken by the TAP expansion (Plefka 1982; within 0.05 nat of
exact on trained machines). Pairs are ranked by PMI because the joint density prefers the most
generic text.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from models.rbm.draws import coins_
from models.rbm.hidden_sums import Method, log_sum, means
from models.rbm.machine import RBM
from models.rbm.units import LOG_2PI
from models.rbm.whitening import Whitener

Block = Literal["image", "text"]


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

    def log_marginal(self, rows: Tensor, block: Block, method: Method = "tap") -> Tensor:
        """Log of the integral of exp(-F) over the other block, (N,); not normalised.

        Args:
            rows: (N, K_x) or (N, K_y), the columns of `block`.
            block: whose columns they are.
            method: of the sum over hidden states.
        """
        rest = self._rest(rows, block)
        quadratic = ((rows @ self.precision[rest.own, rest.own]) * rows).sum(-1) / 2
        constant = (rest.pull * rest.solved).sum(-1) / 2 - quadratic
        constant = constant + rows @ self.pull[rest.own] - self.constant
        volume = rest.factor.shape[0] * LOG_2PI / 2 - rest.factor.diagonal().log().sum()
        return constant + volume + log_sum(rest.bias, rest.coupling, method)

    def pointwise_mutual_information(self, rows: Tensor, method: Method = "tap") -> Tensor:
        """PMI of image and text in nats, (N,), for cut rows (N, K)."""
        image = self.log_marginal(rows[:, : self.split], "image", method)
        text = self.log_marginal(rows[:, self.split :], "text", method)
        return -self.free_energy(rows) - image - text + self.log_z

    def expected(self, rows: Tensor, block: Block, method: Method = "tap") -> Tensor:
        """E[the other block | this one], (N, K_y) for an image's rows (N, K_x); or the reverse.

        The mean of a mixture of Gaussians whose weights are those of the hidden states given
        `rows`; "exact" sums them, "tap" takes their means.
        """
        rest = self._rest(rows, block)
        hidden = means(rest.bias, rest.coupling, method)
        return rest.solved + hidden @ rest.pushed.T

    def sample_other(
        self, rows: Tensor, block: Block, generator: torch.Generator, sweeps: int = 100
    ) -> Tensor:
        """Draw the other block given this one, by clamped Gibbs sampling: (N, K_y) or (N, K_x)."""
        rest = self._rest(rows, block)
        own_push, other_push = self.push[rest.own], self.push[rest.other]
        seen = self.hbias + rows @ own_push
        drawn = rest.solved
        for _ in range(sweeps):
            hidden = coins_(seen + drawn @ other_push, generator)
            noise = torch.empty_like(drawn).normal_(generator=generator)
            # Of covariance (C C')^-1 with C the factor of the precision.
            spread = torch.linalg.solve_triangular(rest.factor.T, noise.T, upper=True).T
            drawn = rest.solved + hidden @ rest.pushed.T + spread
        return drawn

    def _rest(self, rows: Tensor, block: Block) -> "_Rest":
        image, text = slice(0, self.split), slice(self.split, None)
        own, other = (image, text) if block == "image" else (text, image)
        if block not in ("image", "text") or rows.shape[-1] != len(self.pull[own]):
            raise ValueError(
                f"a block is image or text with {self.split} or {len(self.pull) - self.split} "
                f"columns, got {block!r} with {rows.shape[-1]}"
            )
        factor = torch.linalg.cholesky(self.precision[other, other])
        # What pulls at the block that is integrated out, for h = 0: r_o - L_oe e.
        pull = self.pull[other] - rows @ self.precision[own, other]
        pushed = torch.cholesky_solve(self.push[other], factor)
        return _Rest(
            own=own,
            other=other,
            factor=factor,
            pull=pull,
            solved=torch.cholesky_solve(pull.T, factor).T,
            pushed=pushed,
            bias=self.hbias + rows @ self.push[own] + pull @ pushed,
            coupling=self.push[other].T @ pushed,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rest:
    """What one block's rows (N, K_e) leave of the other, of K_o columns.

    Attributes:
        own: where this block's columns are.
        other: where the other's are.
        factor: Cholesky factor of the other's precision, (K_o, K_o).
        pull: linear terms on it for h = 0, (N, K_o).
        solved: its mean for h = 0, (N, K_o).
        pushed: how its mean moves with h, (K_o, H).
        bias: of h with the other block integrated out, (N, H).
        coupling: between hiddens through it, (H, H).
    """

    own: slice
    other: slice
    factor: Tensor
    pull: Tensor
    solved: Tensor
    pushed: Tensor
    bias: Tensor
    coupling: Tensor


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
    if machine.hidden != "bernoulli":
        raise ValueError(f"a joint machine has Bernoulli hiddens, not {machine.hidden} ones")
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
