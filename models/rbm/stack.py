"""A deep belief network: machines on top of each other, each fitted on the hiddens below it.

Hinton, Osindero and Teh (2006). The top machine is the prior of the hiddens below it, and the lower
ones only say what they make of these. N rows, V columns of the lowest machine, H units of the top.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from models.rbm.machine import RBM


class Stack:
    """Machines from the lowest to the top.

    Raises:
        ValueError: a machine does not read what the one below it gives.
    """

    def __init__(self, machines: Sequence[RBM]) -> None:
        if not machines:
            raise ValueError("a stack has 1 machine or more")
        for below, above in pairwise(machines):
            if below.n_hidden != above.n_visible:
                raise ValueError(
                    f"a machine of {below.n_hidden} hidden units is under one of "
                    f"{above.n_visible} visible ones"
                )
            if (below.hidden, above.visible) != ("bernoulli", "bernoulli"):
                raise ValueError(
                    f"machines meet in Bernoulli units, not in {below.hidden} and {above.visible}"
                )
        self.machines = tuple(machines)

    def transform(self, visible: Tensor) -> Tensor:
        """Mean activities of the top's hiddens, (N, H), passing means upwards from (N, V)."""
        for machine in self.machines:
            visible = machine.transform(visible)
        return visible

    def up(self, visible: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the visibles of the top machine given rows (N, V), layer by layer."""
        for machine in self.machines[:-1]:
            visible = machine.sample_hidden(visible, generator)
        return visible

    def sample(self, count: int, generator: torch.Generator, sweeps: int = 1000) -> Tensor:
        """Draw (count, V): Gibbs sampling at the top, then one pass down."""
        drawn = self.machines[-1].sample(count, generator, sweeps)
        for machine in reversed(self.machines[:-1]):
            drawn = machine.sample_visible(drawn, generator)
        return drawn

    def lower_bound(
        self, visible: Tensor, log_z_top: float, generator: torch.Generator, draws: int = 1
    ) -> Tensor:
        """Estimate a lower bound of log p(v), (N,), in nats; without bias, by drawing upwards.

        The expectation of log p(v, h) - log q(h | v) over q, the machines' own conditionals.

        Args:
            visible: (N, V).
            log_z_top: log Z of the top machine.
            generator: of the draws.
            draws: over which the estimate is averaged.
        """
        total = torch.zeros(len(visible), dtype=torch.float64, device=visible.device)
        for _ in range(draws):
            below = visible
            for machine in self.machines[:-1]:
                above = machine.sample_hidden(below, generator)
                total += _log_visible(machine, below, above) - _log_hidden(machine, below, above)
                below = above
            total += self.machines[-1].log_likelihood(below, log_z_top)
        return total / draws


def _log_visible(machine: RBM, visible: Tensor, hidden: Tensor) -> Tensor:
    """Log p(v | h): -E(v, h) less the log of its integral over v, (N,)."""
    joint = -machine.energy(visible, hidden)
    pulled = hidden @ machine.weight.T
    own = machine.visibles.log_integral(pulled, machine.vbias, machine.log_var)
    return joint - own - hidden @ machine.hbias


def _log_hidden(machine: RBM, visible: Tensor, hidden: Tensor) -> Tensor:
    pull = machine.pull_on_hidden(visible.to(machine.weight.dtype))
    return (hidden * F.logsigmoid(pull) + (1 - hidden) * F.logsigmoid(-pull)).sum(-1)
