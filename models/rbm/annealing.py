"""The log partition function of an RBM by annealed importance sampling, from both ends.

Neal (2001); Salakhutdinov and Murray (2008). The path scales W from 0, where the units are apart
and log Z has a closed form, and the visible biases from those of the base. Forward AIS is a lower
estimate on average and reverse AIS an upper one, so chains whose reverse value falls below the
forward one were not in equilibrium. Weights are summed in float64.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.partition import log_z_base, see_finite
from models.rbm.shapes import visibles_of


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


def even(steps: int) -> Tensor:
    """0 ... 1 in `steps` equal steps."""
    return torch.linspace(0, 1, steps + 1, dtype=torch.float64)


def crowded(steps: int) -> Tensor:
    """0 ... 1 in `steps` steps, a twentieth of them below 0.5 and 70 % above 0.9.

    In the spirit of Salakhutdinov and Murray (2008), for machines of hundreds of units. Each part
    has one step or more.

    Raises:
        ValueError: there are fewer than 3 steps.
    """
    if steps < 3:
        raise ValueError(f"a crowded ladder has 3 steps or more, not {steps}")
    first, second = max(steps // 20, 1), max(steps // 4, 1)
    parts = (
        torch.linspace(0, 0.5, first + 1, dtype=torch.float64)[:-1],
        torch.linspace(0.5, 0.9, second + 1, dtype=torch.float64)[:-1],
        torch.linspace(0.9, 1, steps - first - second + 1, dtype=torch.float64),
    )
    return torch.cat(parts)


def log_z_ais(
    machine: RBM,
    generator: torch.Generator,
    *,
    chains: int = 128,
    betas: int | Tensor = 1000,
    base: Tensor | None = None,
) -> LogZ:
    """Anneal from independent units to this machine.

    Args:
        machine: whose log Z it is.
        generator: of the draws.
        chains: independent runs.
        betas: how many equal steps, or the ladder itself from 0 to 1.
        base: visible biases (V,) to start from, such as `base_rates` of the data; the machine's own
            when left out.

    Raises:
        ValueError: no chains, a ladder that does not go up from 0 to 1, or a density without a
            finite integral.
    """
    if chains < 1:
        raise ValueError(f"annealing takes 1 chain or more, not {chains}")
    path = _Path(machine, machine.vbias if base is None else base)
    visible = path.start(chains, generator)
    log_weight = torch.zeros(chains, dtype=torch.float64, device=visible.device)
    ladder = _ladder(betas)
    for lower, upper in zip(ladder[:-1].tolist(), ladder[1:].tolist(), strict=True):
        field = machine.field(visible)
        log_weight += path.free_energy(visible, field, lower)
        log_weight -= path.free_energy(visible, field, upper)
        visible = path.step(field, upper, generator)
    return _averaged(log_weight, log_z_base(machine, path.base), sign=1)


def log_z_reverse_ais(
    machine: RBM,
    visible: Tensor,
    generator: torch.Generator,
    *,
    betas: int | Tensor = 1000,
    base: Tensor | None = None,
) -> LogZ:
    """Anneal from rows (M, V) drawn from the machine down to independent units.

    Raises:
        ValueError: no rows or of another width, a ladder that does not go up from 0 to 1, or a
            density without a finite integral.
    """
    if not len(visible):
        raise ValueError("annealing down starts at 1 row or more, not at none")
    path = _Path(machine, machine.vbias if base is None else base)
    field = machine.field(visibles_of(visible, machine.weight))
    log_weight = torch.zeros(len(visible), dtype=torch.float64, device=visible.device)
    ladder = _ladder(betas).flip(0)
    for upper, lower in zip(ladder[:-1].tolist(), ladder[1:].tolist(), strict=True):
        visible = path.step(field, upper, generator)
        field = machine.field(visible)
        log_weight += path.free_energy(visible, field, upper)
        log_weight -= path.free_energy(visible, field, lower)
    return _averaged(log_weight, log_z_base(machine, path.base), sign=-1)


def bracketed(
    machine: RBM,
    start: Tensor,
    generator: torch.Generator,
    *,
    betas: int | Tensor = 1000,
    sweeps: int = 200,
    base: Tensor | None = None,
) -> Bracket:
    """Estimate from both ends; `start` (M, V) is run for `sweeps` before the way down."""
    forward = log_z_ais(machine, generator, chains=len(start), betas=betas, base=base)
    settled = machine.gibbs_step(start, generator, sweeps)
    return Bracket(forward, log_z_reverse_ais(machine, settled, generator, betas=betas, base=base))


def base_rates(machine: RBM, rows: Tensor) -> Tensor:
    """Return the visible biases (V,) of the independent units that fit rows (N, V) best."""
    mean = rows.to(machine.weight.dtype).mean(0)
    if machine.visible == "gaussian":
        return mean
    mean = mean.clamp(0.01, 0.99)
    return torch.log(mean / (1 - mean) if machine.visible == "bernoulli" else mean)


def _ladder(betas: int | Tensor) -> Tensor:
    """Return the ladder itself; of another from 0 to 1 the weights would be another machine's."""
    if isinstance(betas, int):
        if betas < 1:
            raise ValueError(f"annealing takes 1 step or more, not {betas}")
        return even(betas)
    rises = betas.dim() == 1 and len(betas) > 1 and bool((betas.diff() >= 0).all())
    if not rises or (float(betas[0]), float(betas[-1])) != (0.0, 1.0):
        raise ValueError("betas are a ladder (steps + 1,) that goes up from 0 to 1")
    return betas


class _Path:
    """The machines between the base and the one whose log Z is wanted."""

    def __init__(self, machine: RBM, base: Tensor) -> None:
        if base.shape != machine.vbias.shape:
            raise ValueError(
                f"base is visible biases ({machine.n_visible},), not {tuple(base.shape)}"
            )
        see_finite(machine)
        self.machine, self.base = machine, base.to(machine.weight)

    def vbias(self, beta: float) -> Tensor:
        return torch.lerp(self.base, self.machine.vbias, beta)

    def start(self, chains: int, generator: torch.Generator) -> Tensor:
        pull = self.base.expand(chains, -1).clone()
        return self.machine.visibles.draw_(pull, self.machine.log_var, generator)

    def free_energy(self, visible: Tensor, field: Tensor, beta: float) -> Tensor:
        """Of rows (M, V) whose field (M, H) is known, float64 (M,)."""
        machine = self.machine
        hidden = machine.hiddens.log_integral(machine.hbias + beta * field).sum(-1)
        own = machine.visibles.energy(visible, self.vbias(beta), machine.log_var)
        return (own - hidden).double()

    def step(self, field: Tensor, beta: float, generator: torch.Generator) -> Tensor:
        """Take a sweep from rows with this field to new rows (M, V)."""
        machine = self.machine
        hidden = machine.hiddens.draw_(machine.hbias + beta * field, generator)
        pull = torch.addmm(self.vbias(beta), hidden, machine.weight.T, alpha=beta)
        return machine.visibles.draw_(pull, machine.log_var, generator)


def _averaged(log_weight: Tensor, base: float, *, sign: int) -> LogZ:
    """Turn log weights into log Z; sign -1 for the way down, where they estimate Z_0 / Z."""
    count = len(log_weight)
    mean = torch.logsumexp(log_weight, 0) - math.log(count)
    relative = torch.exp(log_weight - mean)
    spread = float(relative.std(correction=1)) if count > 1 else math.inf
    ess = float(relative.sum().square() / relative.square().sum())
    return LogZ(base + sign * float(mean), spread / math.sqrt(count), ess)
