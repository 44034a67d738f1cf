"""Where an update's model rows come from: CD, persistent chains, or chains at several temperatures.

M chains, T temperatures. The model's statistics take the hiddens' means, and a chain goes on from
hiddens drawn at its end: the next update then needs no product to find them, so that CD-1 and PCD-1
cost the same three products. A temperature scales W, c and what b has beyond the data's base rates,
from 0, where a sweep draws independent rows (Desjardins et al. 2010; Cho, Raiko and Ilin 2010; the
path is that of Salakhutdinov and Murray 2008).
"""

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.products import products

EXCHANGE_MEMORY = 0.95


@dataclass(slots=True)
class Chains:
    """Chains that run on from update to update.

    Attributes:
        visible: (T M, V), all of one temperature together, the coldest last.
        base: (V,), the hottest chains' visible biases.
        temperatures: T.
        hidden: (T M, H), drawn given `visible`; none before `begin`.
        exchanges: (T - 1,), the share of offered exchanges between neighbours that were taken, a
            moving average.
        rounds: of exchanges so far.
    """

    visible: Tensor
    base: Tensor
    temperatures: int = 1
    hidden: Tensor | None = None
    exchanges: Tensor = field(default_factory=lambda: torch.zeros(0))
    rounds: int = 0

    def __post_init__(self) -> None:
        self.visible = self.visible.repeat(self.temperatures, 1)
        self.exchanges = torch.full((self.temperatures - 1,), 0.5, dtype=torch.float64)

    @property
    def coldest(self) -> Tensor:
        """(M, V), the chains of the machine itself."""
        return self.visible[len(self.visible) * (self.temperatures - 1) // self.temperatures :]

    @torch.no_grad()
    def begin(self, machine: RBM, generator: torch.Generator) -> None:
        """Draw the hiddens that the first sweep starts from."""
        beta = self._betas() if self.temperatures > 1 else None
        pull = machine.pull_on_hidden(self.visible)
        self.hidden = machine.hiddens.draw_(_tempered_(pull, beta), generator)

    def advance(self, machine: RBM, generator: torch.Generator, k: int) -> tuple[Tensor, Tensor]:
        """Take k sweeps and exchange states between temperatures.

        Returns:
            The coldest chains' visibles (M, V) and the means of their hiddens (M, H).
        """
        beta = self._betas() if self.temperatures > 1 else None
        if self.hidden is None:
            self.begin(machine, generator)
        assert self.hidden is not None
        self.visible, pull = walk(machine, self.hidden, generator, k, beta, self.base)
        if beta is not None:
            self._exchange(machine, pull, beta, generator)
        coldest = self.coldest
        mean, self.hidden = machine.hiddens.mean_and_draw_(_tempered_(pull, beta), generator)
        return coldest, mean[-len(coldest) :]

    def _betas(self) -> Tensor:
        """What scales each chain's machine, (T M, 1)."""
        ladder = torch.linspace(0, 1, self.temperatures, dtype=self.visible.dtype)
        each = len(self.visible) // self.temperatures
        return ladder.repeat_interleave(each)[:, None].to(self.visible.device)

    def _exchange(
        self, machine: RBM, pull: Tensor, beta: Tensor, generator: torch.Generator
    ) -> None:
        """Offer every other pair of neighbours to exchange states, chain by chain."""
        states, pulls, betas = (
            whole.view(self.temperatures, -1, whole.shape[1])
            for whole in (self.visible, pull, beta)
        )
        for hot, cold in list(pairwise(range(self.temperatures)))[self.rounds % 2 :: 2]:
            gain = sum(
                sign * self._log_weight(machine, states[whose], pulls[whose], betas[at])
                for sign, at, whose in (
                    (1, hot, cold),
                    (1, cold, hot),
                    (-1, hot, hot),
                    (-1, cold, cold),
                )
            )
            chance = torch.exp(torch.as_tensor(gain)).clamp(max=1)
            uniform = torch.rand(
                chance.shape, generator=generator, dtype=chance.dtype, device=chance.device
            )
            taken = uniform < chance
            for pair in (states, pulls):
                kept = pair[hot].clone()
                pair[hot] = torch.where(taken[:, None], pair[cold], kept)
                pair[cold] = torch.where(taken[:, None], kept, pair[cold])
            share = float(taken.double().mean())
            self.exchanges[hot].mul_(EXCHANGE_MEMORY).add_((1 - EXCHANGE_MEMORY) * share)
        self.rounds += 1

    def _log_weight(self, machine: RBM, visible: Tensor, pull: Tensor, beta: Tensor) -> Tensor:
        """Log p(v) at a temperature, (M,), but for what does not change with it."""
        beyond = machine.scaled(visible) @ (machine.vbias - self.base)
        hidden = machine.hiddens.log_integral(beta * pull).sum(-1)
        return beta[:, 0] * beyond + hidden


@torch.no_grad()
def walk(
    machine: RBM,
    hidden: Tensor,
    generator: torch.Generator,
    k: int,
    beta: Tensor | None = None,
    base: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Take k sweeps h -> v from hiddens (N, H), at temperatures `beta` (N, 1) about `base` (V,).

    Returns:
        The last visibles (N, V) and all that they and the biases pull the hiddens by at full
        temperature, c + W' S^-1 v (N, H).
    """
    visible = hidden.new_empty(len(hidden), machine.n_visible)
    pull = torch.empty_like(hidden)
    weight, vbias, deviation = machine.in_units_of_sigma()
    if base is not None and deviation is not None:
        base = base / deviation
    onto_hidden, onto_visible = products(
        weight,
        len(hidden) * k,
        onto_hidden=machine.visibles.binary,
        onto_visible=machine.hiddens.binary,
    )
    place = 0
    split = (machine.cached(whole) for whole in (visible, pull, hidden))
    for rows, on, now in zip(*split, strict=True):
        scale = None if beta is None else beta[place : place + len(rows)]
        place += len(rows)
        for sweep in range(k):
            if sweep:
                now = machine.hiddens.draw_(_tempered_(on, scale), generator)
            onto_visible(now, rows, None)
            if scale is None or base is None:
                machine.visibles.draw_(rows, None, generator, vbias)
            else:
                rows.add_(vbias - base).mul_(scale)
                machine.visibles.draw_(rows, None, generator, base)
            onto_hidden(rows, on, machine.hbias)
        if deviation is not None:
            rows.mul_(deviation)
    return visible, pull


def _tempered_(pull: Tensor, beta: Tensor | None) -> Tensor:
    """Scale in place by each chain's temperature (N, 1)."""
    return pull if beta is None else pull.mul_(beta)
