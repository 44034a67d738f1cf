"""Sums over all states of units that all touch each other: exact, by TAP, or by annealing.

N rows, H units, b (N, H) the rows' biases and J (H, H) the coupling they share:

    log sum over h in {0, 1}^H of exp(b' h + h' J h / 2)

with J symmetric, its diagonal counting as h^2 = h. What remains of a joint machine when one block
is integrated out is of this form. No row depends on its neighbours, nor on how many there are.
"""

import math
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from models.rbm.partition import MAX_EXACT_HIDDEN, digits

Method = Literal["tap", "exact", "ais"]
CHUNK = 2**12
TAP_SWEEPS = 200
TAP_TOLERANCE = 1e-7
DAMPING = 0.5
APART_SWEEPS = 100
AIS_CHAINS, AIS_BETAS = 64, 200


def log_sum(bias: Tensor, coupling: Tensor, method: Method = "tap") -> Tensor:
    """Return the log of the sum, float64 (N,), by this method.

    Raises:
        ValueError: the method is unknown, or "exact" for more than 24 units.
    """
    if method == "exact":
        return exact_log_sum(bias, coupling)
    if method == "ais":
        return ais_log_sum(bias, coupling)
    if method == "tap":
        return tap_log_sum(bias, coupling)
    raise ValueError(f"marginals are taken by tap, exact or ais, not {method!r}")


def means(bias: Tensor, coupling: Tensor, method: Method = "tap") -> Tensor:
    """Return E[h] of each row, (N, H), exactly or by TAP.

    Raises:
        ValueError: the method is another, or "exact" for more than 24 units.
    """
    if method == "tap":
        return tap_means(bias, coupling)
    if method != "exact":
        raise ValueError(f"means are taken by tap or exact, not {method!r}")
    total = exact_log_sum(bias, coupling)
    found = torch.zeros_like(bias)
    for states, own in _all_states(coupling):
        found += torch.exp(bias @ states.T + own - total[:, None]) @ states
    return found


def exact_log_sum(bias: Tensor, coupling: Tensor) -> Tensor:
    """Sum over all 2^H states.

    Raises:
        ValueError: there are more than 24 units.
    """
    parts = [torch.logsumexp(bias @ states.T + own, -1) for states, own in _all_states(coupling)]
    return torch.logsumexp(torch.stack(parts), 0)


def tap_log_sum(bias: Tensor, coupling: Tensor) -> Tensor:
    """Expand to second order about independent units (Plefka 1982).

    Rows whose equations do not settle, where units pull hard at each other, take the first order at
    the best independent units that are found: a lower bound.
    """
    mean, settled = _tap(bias, coupling)
    bias, pairs = _without_diagonal(bias, coupling)
    variance = mean * (1 - mean)
    second = ((variance @ pairs.square()) * variance).sum(-1) / 4
    return _first_order(bias, pairs, mean) + torch.where(settled, second, 0.0)


def tap_means(bias: Tensor, coupling: Tensor) -> Tensor:
    """Mean activities (N, H) at the fixed point of the TAP equations; each row on its own.

    Rows that do not settle have those of the best independent units, see `tap_log_sum`.
    """
    return _tap(bias, coupling)[0]


def _tap(bias: Tensor, coupling: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means (N, H), and which rows settled, bool (N,)."""
    bias, pairs = _without_diagonal(bias, coupling)
    squares = pairs.square()
    mean = torch.sigmoid(bias)
    done = torch.zeros(len(bias), dtype=torch.bool, device=bias.device)
    for _ in range(TAP_SWEEPS):
        variance = mean * (1 - mean)
        reaction = (0.5 - mean) * (variance @ squares)
        wanted = torch.sigmoid(bias + mean @ pairs + reaction)
        moved = torch.where(done[:, None], mean, torch.lerp(mean, wanted, DAMPING))
        # A row that has settled stays, so no row depends on its neighbours.
        done = done | ((moved - mean).abs().amax(-1) < TAP_TOLERANCE)
        mean = moved
        if bool(done.all()):
            return mean, done
    others = torch.nonzero(~done)[:, 0]
    return mean.index_put((others,), _best_apart(bias[others], pairs)), done


@torch.no_grad()
def _best_apart(bias: Tensor, pairs: Tensor) -> Tensor:
    """Return the means (N, H) of the independent units that come closest to each row's.

    Unit by unit, which never ends lower than it began, from the biases alone, all off and all on.
    """
    starts = torch.sigmoid(bias), torch.zeros_like(bias), torch.ones_like(bias)
    found = torch.stack(starts)  # (S, N, H)
    done = torch.zeros(found.shape[:2], dtype=torch.bool, device=bias.device)
    for _ in range(APART_SWEEPS):
        before = found.clone()
        for unit in range(bias.shape[1]):
            found[..., unit] = torch.sigmoid(bias[:, unit] + found @ pairs[:, unit])
        found = torch.where(done[..., None], before, found)
        done = done | ((found - before).abs().amax(-1) < TAP_TOLERANCE)
        if bool(done.all()):
            break
    best = torch.stack([_first_order(bias, pairs, one) for one in found]).argmax(0)
    return found[best, torch.arange(len(bias), device=bias.device)]


def _first_order(bias: Tensor, pairs: Tensor, mean: Tensor) -> Tensor:
    """Return the log sum that independent units of these means account for, (N,)."""
    entropy = -(torch.xlogy(mean, mean) + torch.xlogy(1 - mean, 1 - mean)).sum(-1)
    return (bias * mean).sum(-1) + ((mean @ pairs) * mean).sum(-1) / 2 + entropy


def ais_log_sum(
    bias: Tensor,
    coupling: Tensor,
    *,
    chains: int = AIS_CHAINS,
    betas: int = AIS_BETAS,
    seed: int = 0,
) -> Tensor:
    """Anneal the coupling from 0 to 1; all rows share the draws, so none depends on another.

    J must have no negative eigenvalue, as those of joint machines have none: with J = R' R, the
    pair x | h ~ N(sqrt(beta) R h, I), h | x ~ sigmoid(b + sqrt(beta) R' x) leaves
    exp(b' h + beta h' J h / 2) alone (Hubbard and Stratonovich).

    Raises:
        ValueError: J has a negative eigenvalue.
    """
    values, vectors = torch.linalg.eigh(coupling)
    if float(values[0]) < -1e-9 * max(1.0, float(values[-1])):
        raise ValueError(
            f"annealing needs a coupling without negative eigenvalues, not {values[0]:.3g}"
        )
    root = vectors * torch.sqrt(values.clamp(min=0))  # (H, H), J = root root'
    generator = torch.Generator().manual_seed(seed)
    shape = (chains, bias.shape[-1])
    bias = bias[:, None]  # (N, 1, H)

    def drawn(pull: Tensor) -> Tensor:
        uniform = torch.rand(shape, generator=generator, dtype=bias.dtype)
        return (uniform < torch.sigmoid(pull)).to(bias.dtype)

    hidden = drawn(bias.expand(-1, *shape))
    log_weight = torch.zeros(hidden.shape[:2], dtype=torch.float64)
    for step in range(betas):
        log_weight += (hidden @ root).square().sum(-1) / (2 * betas)
        scale = math.sqrt((step + 1) / betas)
        noise = torch.randn(shape, generator=generator, dtype=bias.dtype)
        field = scale * (hidden @ root) + noise
        hidden = drawn(bias + scale * (field @ root.T))
    base = F.softplus(bias[:, 0]).sum(-1)
    return base + torch.logsumexp(log_weight, -1) - math.log(chains)


def _all_states(coupling: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all states (S, H) with their own part h' J h / 2 (S,), in pieces."""
    units = len(coupling)
    if units > MAX_EXACT_HIDDEN:
        raise ValueError(f"{units} hidden units are too many to sum exactly; use tap_log_sum")
    for first in range(0, 2**units, CHUNK):
        codes = torch.arange(first, min(first + CHUNK, 2**units))
        states = digits(codes, units, 2).to(coupling.dtype)
        yield states, ((states @ coupling) * states).sum(-1) / 2


def _without_diagonal(bias: Tensor, coupling: Tensor) -> tuple[Tensor, Tensor]:
    diagonal = coupling.diagonal()
    return bias + diagonal / 2, coupling - torch.diag(diagonal)  # h^2 = h
