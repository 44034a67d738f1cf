"""Where a machine starts from: the moments of its data, and some of its rows."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.rbm.rows import constant_columns, screened

if TYPE_CHECKING:
    from models.rbm.machine import RBM

LOG_VAR_RANGE = (-5.0, 3.0)
SMALL = 0.01
TURNS = 30
CORRELATED_BY = 10_000  # rows, at most twice as many


@torch.no_grad()
def start(machine: "RBM", rows: Tensor, generator: torch.Generator) -> None:
    """Set a machine's parameters from rows (N, V), see `RBM.initialise`."""
    rows = screened(
        rows,
        machine.visible,
        machine.n_visible,
        categories=machine.categories,
        like=machine.weight,
    ).rows
    if machine.visible != "gaussian":
        # Of 0.01 a small machine takes thousands of updates to leave the saddle at 0.
        size = max(0.01, 1 / math.sqrt(machine.n_visible + machine.n_hidden))
        machine.weight.copy_(size * torch.empty_like(machine.weight).normal_(generator=generator))
        mean = rows.mean(0).clamp(1e-3, 1 - 1e-3)
        machine.vbias.copy_(
            torch.log(mean / (1 - mean) if machine.visible == "bernoulli" else mean)
        )
        return
    _start_from_moments(machine, rows)
    if machine.hidden == "bernoulli" and _go_together(rows):
        machine.weight.copy_(SMALL * torch.empty_like(machine.weight).normal_(generator=generator))
        machine.hbias.zero_()
        return
    chosen = _picked(rows, machine.n_hidden, generator)
    machine.weight.copy_(0.5 * (chosen - machine.vbias).T)
    if machine.hidden == "bernoulli":
        some = _picked(rows, 2000, generator)
        machine.hbias.copy_(-torch.quantile(machine.field(some), 0.9, dim=0))
    else:
        # From 1 on the density has no finite integral.
        machine.weight.mul_(0.5 / max(machine.gain(), 0.5))


def _start_from_moments(machine: "RBM", rows: Tensor) -> None:
    machine.vbias.copy_(rows.mean(0))
    variance = rows.var(0, correction=0)
    variance = torch.where(constant_columns(rows), torch.ones_like(variance), variance)
    low, high = float(variance.min()), float(variance.max())
    least, most = (math.exp(end) for end in LOG_VAR_RANGE)
    if not least < low <= high < most:
        raise ValueError(
            f"columns have variances from {low:.3g} to {high:.3g}; standardise or whiten them"
        )
    machine.log_var.copy_(torch.log(variance))


def _go_together(rows: Tensor) -> bool:
    """Whether columns are correlated beyond chance, so that a small start is no saddle.

    Of N rows of V independent columns the correlations' largest eigenvalue is about
    (1 + sqrt(V / N))^2 (Marchenko and Pastur 1967).
    """
    some = rows[:: max(1, len(rows) // CORRELATED_BY)].double()
    some = some - some.mean(0)
    spread = some.square().mean(0).sqrt()
    scaled = some / torch.where(constant_columns(some), torch.ones_like(spread), spread)
    return _largest(scaled) > 2 * (1 + math.sqrt(scaled.shape[1] / len(some))) ** 2


def _largest(rows: Tensor) -> float:
    """Return the largest eigenvalue of X'X / N of rows X (N, V), from below, by power iteration."""
    generator = torch.Generator().manual_seed(0)
    pointed = torch.randn(rows.shape[1], generator=generator, dtype=torch.float64).to(rows.device)
    found = 0.0
    for _ in range(TURNS):  # all of it, V x V, would take minutes of thousands of columns
        pointed = rows.T @ (rows @ (pointed / pointed.norm().clamp(min=1e-300))) / len(rows)
        found = float(pointed.norm())
    return found


def _picked(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    at = torch.randint(len(rows), (count,), generator=generator, device=generator.device)
    return rows[at.to(rows.device)]
