"""How soon chains forget: the free energy of many, sweep by sweep, and how it is correlated.

M chains, S sweeps. All chains share one mean and one variance, so that chains which each stay where
they began, and so never vary by themselves, are seen not to have forgotten anything.
"""

import torch
from torch import Tensor

from models.rbm.machine import RBM

WINDOW = 5.0  # lags summed, in units of the time that comes of it (Sokal 1997, section 3)


def energy_traces(machine: RBM, visible: Tensor, generator: torch.Generator, sweeps: int) -> Tensor:
    """Run chains (M, V) on and return their free energies, double (S + 1, M), the start's first."""
    found = [machine.free_energy(visible)]
    for _ in range(sweeps):
        visible = machine.gibbs_step(visible, generator)
        found.append(machine.free_energy(visible))
    return torch.stack(found).double().cpu()


def autocorrelation(traces: Tensor) -> Tensor:
    """Return the correlation of (S + 1, M) with itself at lags 0 to S / 2; 1 where nothing varies.

    Raises:
        ValueError: there are fewer than two sweeps.
    """
    lags = (len(traces) - 1) // 2
    if lags < 1:
        raise ValueError(f"correlations need two sweeps or more, not {len(traces) - 1}")
    apart = traces - traces.mean()
    spread = float(apart.square().mean())
    if spread <= 0:
        return torch.ones(lags + 1, dtype=traces.dtype)
    products = [(apart[: len(apart) - lag] * apart[lag:]).mean() for lag in range(lags + 1)]
    return torch.stack(products) / spread


def mixing_time(correlations: Tensor) -> float:
    """Return the integrated autocorrelation time in sweeps: 1 for independent states.

    The sum stops at the first lag beyond five times itself, where only noise would be added. Where
    no lag is, it is of all lags and too small: the chains are longer in forgetting than was looked.
    """
    times = 2 * correlations.cumsum(0) - 1  # correlations[0] is 1 and counts once
    beyond = torch.arange(len(times)) >= WINDOW * times
    place = int(beyond.to(torch.int8).argmax()) if bool(beyond.any()) else len(times) - 1
    return float(times[place])
