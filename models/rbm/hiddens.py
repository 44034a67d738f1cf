"""The kinds of hidden units: what each adds to energies, and how it is drawn.

N rows, H units. `pull` is all that acts on a unit besides its own kind, c + W' S^-1 v. Functions
whose name ends in an underscore write over the pull they are given. Rectified units have exact
energies, h^2 / 2 for h >= 0: the noisy rectified unit of Nair and Hinton (2010) only approximates a
machine.
"""

from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from models.rbm.draws import (
    Coins,
    Normals,
    chances_,
    coins_,
    coins_of_chances_,
    log_normal_tail,
    mean_of_positives,
    normals_,
    positives_,
)
from models.rbm.units import LOG_2PI, Drawing, biased_


class HiddenUnits(Protocol):
    """What every kind of hidden units can say."""

    binary: bool  # whether all draws are 0 or 1

    def energy(self, hidden: Tensor) -> Tensor:
        """The units' own part of the energy, (N,), biases left out."""

    def log_integral(self, pull: Tensor) -> Tensor:
        """Log of the sum or integral over h of exp(pull h - own energy), (N, H)."""

    def mean_(self, pull: Tensor) -> Tensor:
        """E[h | v], (N, H)."""

    def draw_(self, pull: Tensor, generator: torch.Generator, bias: Tensor | None = None) -> Tensor:
        """Draw h given v, (N, H); a bias (H,) adds to the pull."""

    def drawing_(self, pull: Tensor, bias: Tensor) -> Drawing:
        """Return `draw_` for one tensor, to be called again and again."""

    def mean_and_draw_(self, pull: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return both E[h | v] and a draw, (N, H) each."""


class BernoulliHidden:
    """0 or 1."""

    binary = True

    def energy(self, hidden: Tensor) -> Tensor:
        """Nothing."""
        return torch.zeros_like(hidden[..., 0])

    def log_integral(self, pull: Tensor) -> Tensor:
        """Softplus, not log(1 + exp(x)): the latter overflows."""
        return F.softplus(pull)

    def mean_(self, pull: Tensor) -> Tensor:
        """p(h = 1 | v)."""
        return chances_(pull)

    def draw_(self, pull: Tensor, generator: torch.Generator, bias: Tensor | None = None) -> Tensor:
        """Toss a coin each."""
        return coins_(pull, generator, bias)

    def drawing_(self, pull: Tensor, bias: Tensor) -> Drawing:
        """Toss a coin each."""
        return Coins(pull, bias)

    def mean_and_draw_(self, pull: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Toss coins of the means."""
        draw = coins_of_chances_(pull, generator)
        return pull, draw


class GaussianHidden:
    """Real, of variance 1: the machine is a factor model."""

    binary = False

    def energy(self, hidden: Tensor) -> Tensor:
        """Half the squares."""
        return hidden.square().sum(-1) / 2

    def log_integral(self, pull: Tensor) -> Tensor:
        """Of a normal density."""
        return pull.square() / 2 + LOG_2PI / 2

    def mean_(self, pull: Tensor) -> Tensor:
        """The pull itself."""
        return pull

    def draw_(self, pull: Tensor, generator: torch.Generator, bias: Tensor | None = None) -> Tensor:
        """N(pull, 1)."""
        return normals_(pull, generator, bias)

    def drawing_(self, pull: Tensor, bias: Tensor) -> Drawing:
        """N(pull, 1)."""
        return Normals(pull, bias)

    def mean_and_draw_(self, pull: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The pull, and N(pull, 1)."""
        return pull, normals_(pull.clone(), generator)


class ReluHidden:
    """Real and never below 0: N(pull, 1) cut off there."""

    binary = False

    def energy(self, hidden: Tensor) -> Tensor:
        """Half the squares."""
        return hidden.square().sum(-1) / 2

    def log_integral(self, pull: Tensor) -> Tensor:
        """Of half a normal density."""
        return log_normal_tail(pull).to(pull.dtype)

    def mean_(self, pull: Tensor) -> Tensor:
        """Of the density that is cut off."""
        return pull.copy_(mean_of_positives(pull))

    def draw_(self, pull: Tensor, generator: torch.Generator, bias: Tensor | None = None) -> Tensor:
        """By the inverse of the distribution."""
        return positives_(biased_(pull, bias), generator)

    def drawing_(self, pull: Tensor, bias: Tensor) -> Drawing:
        """By the inverse of the distribution."""
        return partial(self.draw_, pull, bias=bias)

    def mean_and_draw_(self, pull: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Each from the pull."""
        draw = positives_(pull.clone(), generator)
        return self.mean_(pull), draw


HIDDENS: dict[str, HiddenUnits] = {
    "bernoulli": BernoulliHidden(),
    "relu": ReluHidden(),
    "gaussian": GaussianHidden(),
}


def hidden_units(kind: str) -> HiddenUnits:
    """Return the units of this kind.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in HIDDENS:
        raise ValueError(f"hidden units are bernoulli, relu or gaussian, not {kind!r}")
    return HIDDENS[kind]
