"""What is drawn of a finished fit: its filters, its free-energy gap, and how its chains mix."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.whitening import Whitener
from tasks.rbm.drawings import Points, heat, lines
from tasks.rbm.looks import BINS
from tasks.rbm.traces import autocorrelation, energy_traces, mixing_time

CHAINS = 128
SWEEPS = 100


def filters(machine: RBM, whitener: Whitener) -> str:
    """Draw W as the cut columns see it: a row a hidden unit, the longest on top.

    In units of each column's own deviation, else those that hardly vary would outshine the others.
    """
    spread = whitener.covariance.diagonal().sqrt()[:, None]
    seen = (spread * (whitener.mix @ machine.weight.detach().cpu().double())).T
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
    series = {
        name: list(enumerate(energy_traces(machine, visible, generator, SWEEPS).mean(1).tolist()))
        for name, visible in (("begun at data", begun), ("begun at noise", noise))
    }
    return lines("Mixing of chains", "Gibbs sweep", "mean free energy, nats", series)


def forgetting(machine: RBM, begun: Tensor, seed: int) -> str:
    """Draw how a chain's free energy is correlated with its own after so many sweeps.

    Args:
        machine: the fitted one.
        begun: (M, V), the persistent chains.
        seed: of the sweeps.
    """
    generator = torch.Generator(begun.device).manual_seed(seed)
    correlations = autocorrelation(energy_traces(machine, begun, generator, SWEEPS))
    title = f"Forgetting: {mixing_time(correlations):.1f} sweeps a new state"
    series = {"of the free energy": list(enumerate(correlations.tolist()))}
    return lines(title, "sweeps apart", "correlation", series)


def activations(curve: Mapping[str, Points]) -> str:
    """Draw the histogram of the hidden units' mean activities, a column a look."""
    names = BINS[::-1]
    shares = np.array([[share for _, share in curve[name]] for name in names])
    updates = [update for update, _ in curve[BINS[0]]]
    across = f"looks, from update {updates[0]:.0f} to {updates[-1]:.0f}"
    told = [name.partition("/")[2] for name in names]
    return heat("Shares of hidden units by mean activity", across, "", shares, told)
