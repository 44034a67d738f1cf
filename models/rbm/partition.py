"""The log partition function of an RBM where it can be summed, and that of its units apart."""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from models.rbm.machine import RBM
from models.rbm.units import LOG_2PI

MAX_EXACT_HIDDEN = 24  # of binary units; 2^24 states of any other side too
CHUNK = 2**14


def log_z_exact(machine: RBM) -> float:
    """Sum over all states of the smaller discrete side; a factor model has a closed form.

    Raises:
        ValueError: neither side has at most 2^24 states, or the density has no finite integral.
    """
    machine = copy.deepcopy(machine).double()
    see_finite(machine)
    if machine.visible == machine.hidden == "gaussian":
        return _log_z_of_factors(machine)
    hidden_bits = machine.n_hidden if machine.hidden == "bernoulli" else math.inf
    groups = machine.n_visible // max(machine.categories, 1)
    visible_bits = groups * math.log2(max(machine.categories, 2))
    if machine.visible == "gaussian":
        visible_bits = math.inf
    if min(hidden_bits, visible_bits) > MAX_EXACT_HIDDEN:
        raise ValueError(
            f"exact log Z sums all states of one side, and neither {machine.n_visible} "
            f"{machine.visible} visibles nor {machine.n_hidden} {machine.hidden} hiddens can be; "
            f"up to {MAX_EXACT_HIDDEN} hidden units can be summed, use log_z_ais"
        )
    if hidden_bits <= visible_bits:
        return _summed(
            2**machine.n_hidden,
            lambda codes: hidden_log_weight(machine, digits(codes, machine.n_hidden, 2).double()),
        )
    return _summed(
        max(machine.categories, 2) ** groups,
        lambda codes: -machine.free_energy(_visible_states(machine, codes, groups)),
    )


def see_finite(machine: RBM) -> None:
    """See that the density has an integral, as far as can be told.

    Of Gaussian visibles and hiddens it has while the norm of S^-1/2 W is below 1. Of rectified
    hiddens, which do not all rise together, each column's has to be: that much is necessary.

    Raises:
        ValueError: it has none.
    """
    if machine.visible != "gaussian" or machine.hidden == "bernoulli":
        return
    scaled = torch.exp(-machine.log_var / 2)[:, None] * machine.weight
    size = machine.gain() if machine.hidden == "gaussian" else float(scaled.norm(dim=0).max())
    if size >= 1:
        raise ValueError(
            f"the weights are so large (norm of S^-1/2 W {size:.3g}, 1 or more) that the density "
            f"of {machine.hidden} hiddens has no finite integral"
        )


def hidden_log_weight(machine: RBM, hidden: Tensor) -> Tensor:
    """Log of the integral over v of exp(-E(v, h)), float64 (N,), for hidden (N, H)."""
    hidden = hidden.double()
    pulled = hidden @ machine.weight.double().T
    linear = hidden @ machine.hbias.double() - machine.hiddens.energy(hidden)
    vbias, log_var = machine.vbias.double(), machine.log_var.double()
    return linear + machine.visibles.log_integral(pulled, vbias, log_var)


def log_z_base(machine: RBM, vbias: Tensor | None = None) -> float:
    """Log Z of the same machine with W = 0, and with these visible biases (V,) for its own."""
    biases = (machine.vbias if vbias is None else vbias).double()
    nothing = torch.zeros_like(biases)[None]
    visible = machine.visibles.log_integral(nothing, biases, machine.log_var.double())
    return float(machine.hiddens.log_integral(machine.hbias.double()).sum() + visible[0])


def digits(codes: Tensor, count: int, base: int) -> Tensor:
    """Write whole numbers (N,) with `count` digits of this base, the last first, (N, count)."""
    return codes[:, None] // base ** torch.arange(count, device=codes.device) % base


def _visible_states(machine: RBM, codes: Tensor, groups: int) -> Tensor:
    chosen = digits(codes, groups, max(machine.categories, 2))
    if machine.visible == "softmax":
        return F.one_hot(chosen, machine.categories).flatten(1).double()
    return chosen.double()


def _summed(states: int, log_weight: Callable[[Tensor], Tensor]) -> float:
    """Log of the sum of exp of the log weights of states 0 ... `states`, a chunk at a time."""
    parts = [
        torch.logsumexp(log_weight(torch.arange(first, min(first + CHUNK, states))), 0)
        for first in range(0, states, CHUNK)
    ]
    return float(torch.logsumexp(torch.stack(parts), 0))


def _log_z_of_factors(machine: RBM) -> float:
    # With h integrated out, log p(v) = -v' A v / 2 + l' v + constant is a Gaussian.
    precision = machine.precision()
    scaled = precision[:, None] * machine.weight
    own = torch.diag(precision) - scaled @ scaled.T
    linear = precision * machine.vbias + scaled @ machine.hbias
    factor = torch.linalg.cholesky(own)
    solved = torch.cholesky_solve(linear[:, None], factor)[:, 0]
    volume = machine.n_visible * LOG_2PI / 2 - factor.diagonal().log().sum()
    constant = machine.hbias.square().sum() / 2 + machine.n_hidden * LOG_2PI / 2
    constant = constant - (machine.vbias.square() * precision).sum() / 2
    return float(volume + linear @ solved / 2 + constant)
