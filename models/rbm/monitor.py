"""What to look at while a machine learns: causes of failure, and numbers for a run's page.

M chains, N rows, H hiddens. Reconstruction error is among the numbers because people look for it;
it falls while the likelihood does too, so choose machines by likelihood.
"""

import math

import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.pseudo_likelihood import pseudo_log_likelihood, pseudo_log_likelihood_per_unit
from models.rbm.starting import LOG_VAR_RANGE

HARDLY = 1e-3  # a hidden unit this rarely active is off
APART = 0.25  # standardised distance of moments beyond which chains have not mixed
QUANTILES = {"min": 0.0, "median": 0.5, "max": 1.0}


def trouble_of(machine: RBM, chains: Tensor, norm: float) -> str:
    """Say what shows that training went wrong, or nothing.

    Args:
        machine: in training.
        chains: (M, V), its chains.
        norm: of the last gradient.
    """
    if not math.isfinite(norm):
        return f"gradient norm {norm:g}"
    if not all(bool(torch.isfinite(value).all()) for value in machine.parameters()):
        return "parameters that are not finite"
    low, high = LOG_VAR_RANGE
    stuck = int(((machine.log_var <= low) | (machine.log_var >= high)).sum())
    if stuck:
        return f"{stuck} of {machine.n_visible} variances at the end of their range"
    if machine.hidden != "bernoulli":
        improper = machine.visible == "gaussian" and machine.gain() >= 1
        return "weights too large for a density with a finite integral" if improper else ""
    active = machine.transform(chains)
    if float(active.max()) < HARDLY:
        return "all hidden units off"
    return "all hidden units on" if float(active.min()) > 1 - HARDLY else ""


def progress(machine: RBM, train: Tensor, validation: Tensor) -> dict[str, float]:
    """Measure a machine without its log Z.

    Args:
        machine: in training or trained.
        train: (N, V), rows it has seen.
        validation: (N', V), rows it has not.

    Returns:
        Free energies and their gap in nats, squared error of reconstructions, pseudo-likelihoods
        of discrete machines, shares of hiddens off and on, and ranges of activities, of the norms
        of W's columns and of variances.
    """
    validation = validation.to(machine.weight)
    free = float(machine.free_energy(validation).mean())
    seen = float(machine.free_energy(train.to(machine.weight)).mean())
    active = machine.transform(validation).mean(0)
    found = {
        "free_energy": free,
        "free_energy_gap": free - seen,
        "recon_mse": float((machine.reconstruct(validation) - validation).square().mean()),
        **_range("activation", active),
        **_range("weight_norm", machine.weight.norm(dim=0)),
    }
    if machine.hidden == "bernoulli":
        found["hidden_off"] = float((active < HARDLY).double().mean())
        found["hidden_on"] = float((active > 1 - HARDLY).double().mean())
    if machine.visible == "gaussian":
        variance = machine.log_var.exp()
        found["variance_min"], found["variance_max"] = float(variance.min()), float(variance.max())
    else:
        found["pll"] = float(pseudo_log_likelihood(machine, validation).mean())
        found["pll_per_unit"] = float(pseudo_log_likelihood_per_unit(machine, validation).mean())
    return found


def mixing(
    machine: RBM, rows: Tensor, generator: torch.Generator, sweeps: int = 100
) -> dict[str, float]:
    """Tell whether chains forget where they began, from the moments of two sets of them.

    One set starts at rows (M, V), one at the machine without weights; after k and after 2 k sweeps
    their means and standard deviations are compared, in standard deviations and root mean square
    over columns, less what M independent rows would differ by.

    Args:
        machine: whose chains they are.
        rows: (M, V), data.
        generator: of the draws.
        sweeps: k.

    Returns:
        `mixing_data_k_2k`, `mixing_noise_k_2k` and `mixing_data_noise`, and `thermalised`, 1.0
        where none of them is beyond 0.25.
    """
    data = machine.gibbs_step(rows, generator, sweeps)
    noise = machine.sample(len(rows), generator, sweeps)
    later = machine.gibbs_step(data, generator, sweeps)
    later_noise = machine.gibbs_step(noise, generator, sweeps)
    found = {
        "mixing_data_k_2k": moments_apart(data, later),
        "mixing_noise_k_2k": moments_apart(noise, later_noise),
        "mixing_data_noise": moments_apart(later, later_noise),
    }
    return {**found, "thermalised": float(max(found.values()) < APART)}


def moments_apart(first: Tensor, second: Tensor) -> float:
    """Compare the means and deviations of two sets of rows (M, V), see `mixing`."""
    spread = torch.cat([first, second]).std(0).clamp(min=1e-6)
    mean = ((first.mean(0) - second.mean(0)) / spread).square()
    deviation = ((first.std(0) - second.std(0)) / spread).square()
    chance = 1 / len(first) + 1 / len(second)
    # Of the mean 1 / n, of a normal's deviation 1 / 2 n.
    beyond = float((mean + deviation).mean()) - 1.5 * chance
    return math.sqrt(max(beyond, 0.0))


def _range(name: str, values: Tensor) -> dict[str, float]:
    return {f"{name}_{end}": float(values.quantile(at)) for end, at in QUANTILES.items()}
