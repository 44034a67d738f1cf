"""The log partition function of an RBM: exact, or by annealed importance sampling, bracketed.

Neal (2001); Salakhutdinov and Murray (2008). The path scales W alone, from a machine of
independent units whose log Z is known in closed form. Forward AIS is a lower estimate on average
and reverse AIS an upper one, so chains whose reverse value falls below the forward one were not
in equilibrium. Weights are summed in float64.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.rbm.machine import LOG_2PI, RBM, coins

MAX_EXACT_HIDDEN = 24
CHUNK_BITS = 14


@dataclass(frozen=True, slots=True)
class LogZ:
    """An estimate in nats, its standard error, and how many chains effectively carry it."""

    value: float
    se: float
    ess: float


@dataclass(frozen=True, slots=True)
class Bracket:
    """Forward and reverse estimates of one machine."""

    forward: LogZ
    reverse: LogZ

    @property
    def gap(self) -> float:
        """Reverse less forward, nats."""
        return self.reverse.value - self.forward.value

    @property
    def thermalised(self) -> bool:
        """False when the reverse estimate lies below the forward one by more than their noise."""
        return self.gap >= -3 * math.hypot(self.forward.se, self.reverse.se) - 1e-3


def log_z_exact(machine: RBM) -> float:
    """Sum over all hidden states.

    Raises:
        ValueError: there are more than 24 hidden units.
    """
    hidden = machine.n_hidden
    if hidden > MAX_EXACT_HIDDEN:
        raise ValueError(
            f"exact log Z sums 2^{hidden} states; up to {MAX_EXACT_HIDDEN} hidden units can be "
            "summed, use log_z_ais"
        )
    parts = []
    for first in range(0, 2**hidden, 2**CHUNK_BITS):
        codes = torch.arange(first, min(first + 2**CHUNK_BITS, 2**hidden))
        states = ((codes[:, None] >> torch.arange(hidden)) & 1).double()
        parts.append(torch.logsumexp(hidden_log_weight(machine, states), 0))
    return float(torch.logsumexp(torch.stack(parts), 0))


def hidden_log_weight(machine: RBM, hidden: Tensor) -> Tensor:
    """Log of the integral over v of exp(-E(v, h)), (N,), for hidden (N, H)."""
    weight, vbias = machine.weight.double(), machine.vbias.double()
    pulled = hidden @ weight.T
    linear = hidden @ machine.hbias.double()
    if machine.visible == "bernoulli":
        return linear + F.softplus(vbias + pulled).sum(-1)
    precision = machine.precision().double()
    quadratic = (vbias * precision * pulled + pulled.square() * precision / 2).sum(-1)
    return linear + quadratic + _gaussian_volume(machine)


def log_z_base(machine: RBM) -> float:
    """Log Z of the same machine with W = 0."""
    hidden = F.softplus(machine.hbias.double()).sum()
    if machine.visible == "bernoulli":
        return float(hidden + F.softplus(machine.vbias.double()).sum())
    return float(hidden) + _gaussian_volume(machine)


def _gaussian_volume(machine: RBM) -> float:
    return float(machine.n_visible * LOG_2PI / 2 + machine.log_var.detach().double().sum() / 2)


def log_z_ais(
    machine: RBM, generator: torch.Generator, *, chains: int = 128, betas: int = 1000
) -> LogZ:
    """Anneal from the independent machine to this one."""
    ladder = torch.linspace(0, 1, betas + 1, dtype=torch.float64)
    visible = _base_sample(machine, chains, generator)
    log_weight = torch.zeros(chains, dtype=torch.float64)
    for lower, upper in zip(ladder[:-1].tolist(), ladder[1:].tolist(), strict=True):
        log_weight += _tempered(machine, visible, lower) - _tempered(machine, visible, upper)
        visible = _sweep(machine, visible, upper, generator)
    return _averaged(log_weight, log_z_base(machine), sign=1)


def log_z_reverse_ais(
    machine: RBM, visible: Tensor, generator: torch.Generator, *, betas: int = 1000
) -> LogZ:
    """Anneal from rows (M, V) drawn from the machine down to independent units."""
    ladder = torch.linspace(1, 0, betas + 1, dtype=torch.float64)
    visible = visible.to(machine.weight.dtype)
    log_weight = torch.zeros(len(visible), dtype=torch.float64)
    for upper, lower in zip(ladder[:-1].tolist(), ladder[1:].tolist(), strict=True):
        visible = _sweep(machine, visible, upper, generator)
        log_weight += _tempered(machine, visible, upper) - _tempered(machine, visible, lower)
    return _averaged(log_weight, log_z_base(machine), sign=-1)


def bracketed(
    machine: RBM,
    start: Tensor,
    generator: torch.Generator,
    *,
    betas: int = 1000,
    sweeps: int = 200,
) -> Bracket:
    """Estimate from both ends; `start` (M, V) is run for `sweeps` before the way down."""
    forward = log_z_ais(machine, generator, chains=len(start), betas=betas)
    settled = machine.gibbs_step(start.to(machine.weight.dtype), generator, sweeps)
    return Bracket(forward, log_z_reverse_ais(machine, settled, generator, betas=betas))


def _tempered(machine: RBM, visible: Tensor, beta: float) -> Tensor:
    """Free energy with W scaled by beta, float64 (N,)."""
    field = machine.hbias + beta * machine.field(visible)
    return (machine.visible_energy(visible) - F.softplus(field).sum(-1)).double()


def _sweep(machine: RBM, visible: Tensor, beta: float, generator: torch.Generator) -> Tensor:
    hidden = coins(torch.sigmoid(machine.hbias + beta * machine.field(visible)), generator)
    mean = machine.vbias + beta * (hidden @ machine.weight.T)
    if machine.visible == "bernoulli":
        return coins(torch.sigmoid(mean), generator)
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
    return mean + noise * torch.exp(machine.log_var / 2)


def _base_sample(machine: RBM, chains: int, generator: torch.Generator) -> Tensor:
    shape = (chains, machine.n_visible)
    if machine.visible == "bernoulli":
        return coins(torch.sigmoid(machine.vbias).expand(shape), generator)
    noise = torch.randn(shape, generator=generator, dtype=machine.weight.dtype)
    return machine.vbias + noise * torch.exp(machine.log_var / 2)


def _averaged(log_weight: Tensor, base: float, *, sign: int) -> LogZ:
    """Turn log weights into log Z; sign -1 for the way down, where they estimate Z_0 / Z."""
    count = len(log_weight)
    mean = torch.logsumexp(log_weight, 0) - math.log(count)
    relative = torch.exp(log_weight - mean)
    spread = float(relative.std(correction=1)) if count > 1 else math.inf
    ess = float(relative.sum().square() / relative.square().sum())
    return LogZ(base + sign * float(mean), spread / math.sqrt(count), ess)
