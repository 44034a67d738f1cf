"""Small Boltzmann machines with random parameters, and all states of a few units."""

import itertools

import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.units import Visible

VISIBLE, HIDDEN = 5, 3


def machine(visible: Visible, seed: int = 0, n_hidden: int = HIDDEN) -> RBM:
    generator = torch.Generator().manual_seed(seed)
    made = RBM(VISIBLE, n_hidden, visible)
    for name, scale in (("weight", 0.8), ("vbias", 0.6), ("hbias", 0.7)):
        value = getattr(made, name)
        value.copy_(scale * torch.randn(value.shape, generator=generator, dtype=value.dtype))
    if visible == "gaussian":
        made.log_var.copy_(0.5 * torch.randn(VISIBLE, generator=generator, dtype=torch.float64))
    return made


def states(width: int) -> Tensor:
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=width)), dtype=torch.float64)
