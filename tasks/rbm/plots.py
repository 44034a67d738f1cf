"""What is drawn of a finished fit: its filters, its free-energy gap, and how its chains mix."""

from collections.abc import Mapping

import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.whitening import Whitener
from tasks.rbm.drawings import Points, heat, lines

CHAINS = 128
SWEEPS = 100


def filters(machine: RBM, whitener: Whitener) -> str:
    """Draw W as the cut columns see it: a row a hidden unit, the longest on top."""
    seen = (whitener.mix @ machine.weight.detach().cpu().double()).T
    order = seen.norm(dim=1).argsort(descending=True)
    across = f"principal components: {whitener.split} of the picture, then those of the text"
    return heat("Filters", across, "hidden units", seen[order].numpy())


def free_energy_gap(curve: Mapping[str, Points]) -> str:
    """Draw how the held-out rows fell behind, beside what the machine was worth."""
    names = {
        "free_energy_gap": "free energy, held out less learnt from",
        "nats_over_full_gaussian": "over the full Gaussian, held out",
        "nats_over_gmm20": "over the mixture, held out",
    }
    drawn = {told: curve[name] for name, told in names.items() if name in curve}
    return lines("Overfitting and worth", "update", "nats a pair", drawn)


def mixing(machine: RBM, train: Tensor, seed: int) -> str:
    """Draw the mean free energy of chains begun at data and at noise; mixed, they meet.

    Args:
        machine: the fitted one.
        train: white rows (N, K).
        seed: of the sweeps.
    """
    generator = torch.Generator(train.device).manual_seed(seed)
    begun = train[:CHAINS]
    noise = torch.randn(begun.shape, generator=generator, dtype=train.dtype, device=train.device)
    series = {}
    for name, visible in (("begun at data", begun), ("begun at noise", noise)):
        trace = [float(machine.free_energy(visible).mean())]
        for _ in range(SWEEPS):
            visible = machine.gibbs_step(visible, generator)
            trace.append(float(machine.free_energy(visible).mean()))
        series[name] = [(float(sweep), value) for sweep, value in enumerate(trace)]
    return lines("Mixing of chains", "Gibbs sweep", "mean free energy, nats", series)
