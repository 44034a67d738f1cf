"""How well a machine foretells each unit from all others: a likelihood that needs no log Z."""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.rbm.machine import RBM
from models.rbm.shapes import visibles_of


def pseudo_log_likelihood(machine: RBM, visible: Tensor) -> Tensor:
    """Return the sum over units of log p(v_i | the others), (N,), in nats; exact.

    A unit of softmax visibles is a group. Values between 0 and 1 count as probabilities of 1.

    Args:
        machine: with Bernoulli or softmax visibles.
        visible: (N, V).

    Raises:
        ValueError: the visibles are Gaussian, where it is not defined this way, or
            the rows of another width.
    """
    if machine.visible == "gaussian":
        raise ValueError("pseudo-likelihood flips bits; this machine's visibles are Gaussian")
    visible = visibles_of(visible, machine.weight)
    pull = machine.pull_on_hidden(visible)
    total = torch.zeros_like(pull[:, 0])
    width = max(machine.categories, 1)
    for first in range(0, machine.n_visible, width):
        own = visible[:, first : first + width]  # (N, width)
        without = pull - own @ machine.weight[first : first + width]
        choices = [
            machine.vbias[unit]
            + machine.hiddens.log_integral(without + machine.weight[unit]).sum(-1)
            for unit in range(first, first + width)
        ]
        if width == 1:
            choices.append(machine.hiddens.log_integral(without).sum(-1))
            own = torch.cat([own, 1 - own], 1)
        total += (own * F.log_softmax(torch.stack(choices, 1), 1)).sum(1)
    return total


def pseudo_log_likelihood_per_unit(machine: RBM, visible: Tensor) -> Tensor:
    """Return the mean over units instead of the sum: what does not grow with the picture, (N,)."""
    groups = machine.n_visible // max(machine.categories, 1)
    return pseudo_log_likelihood(machine, visible) / groups
