"""The kinds of units a machine is made of: what each adds to energies, and how it is drawn.

N rows, V visible and H hidden units, G groups of C categories. `pull` is all that acts on a unit
besides its own kind: c + W' S^-1 v on hiddens and b + W h on visibles. Functions whose name ends in
an underscore write over the pull they are given. Rectified units have exact energies, h^2 / 2 for
h >= 0: the noisy rectified unit of Nair and Hinton (2010) only approximates a machine.
"""

import math
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from models.rbm.draws import (
    chances_,
    coins_,
    coins_of_chances_,
    log_normal_tail,
    mean_of_positives,
    normals_,
    one_hots_,
    positives_,
)

Visible = Literal["gaussian", "bernoulli", "softmax"]
Hidden = Literal["bernoulli", "relu", "gaussian"]
LOG_2PI = math.log(2 * math.pi)


class HiddenUnits(Protocol):
    """What every kind of hidden units can say."""

    def energy(self, hidden: Tensor) -> Tensor:
        """The units' own part of the energy, (N,), biases left out."""

    def log_integral(self, pull: Tensor) -> Tensor:
        """Log of the sum or integral over h of exp(pull h - own energy), (N, H)."""

    def mean_(self, pull: Tensor) -> Tensor:
        """E[h | v], (N, H)."""

    def draw_(self, pull: Tensor, generator: torch.Generator, bias: Tensor | None = None) -> Tensor:
        """Draw h given v, (N, H); a bias (H,) adds to the pull."""

    def mean_and_draw_(self, pull: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return both E[h | v] and a draw, (N, H) each."""


class BernoulliHidden:
    """0 or 1."""

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

    def mean_and_draw_(self, pull: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Toss coins of the means."""
        draw = coins_of_chances_(pull, generator)
        return pull, draw


class GaussianHidden:
    """Real, of variance 1: the machine is a factor model."""

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

    def mean_and_draw_(self, pull: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The pull, and N(pull, 1)."""
        return pull, normals_(pull.clone(), generator)


class ReluHidden:
    """Real and never below 0: N(pull, 1) cut off there."""

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
        return positives_(_biased_(pull, bias), generator)

    def mean_and_draw_(self, pull: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Each from the pull."""
        draw = positives_(pull.clone(), generator)
        return self.mean_(pull), draw


class VisibleUnits(Protocol):
    """What every kind of visible units can say; `log_var` is 0 for all but Gaussian ones."""

    def energy(self, visible: Tensor, vbias: Tensor, log_var: Tensor) -> Tensor:
        """The units' own part of the energy, (N,)."""

    def log_integral(self, pulled: Tensor, vbias: Tensor, log_var: Tensor) -> Tensor:
        """Log of the sum or integral over v of exp(v' S^-1 pulled - own energy), (N,)."""

    def mean_(self, pull: Tensor) -> Tensor:
        """E[v | h], (N, V)."""

    def draw_(
        self,
        pull: Tensor,
        log_var: Tensor | None,
        generator: torch.Generator,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Draw v given h, (N, V); a bias (V,) adds to the pull.

        Without `log_var` pulls and draws are in units of sigma.
        """


class BernoulliVisible:
    """0 or 1."""

    def energy(self, visible: Tensor, vbias: Tensor, log_var: Tensor) -> Tensor:  # noqa: ARG002
        """Linear."""
        return -visible @ vbias

    def log_integral(self, pulled: Tensor, vbias: Tensor, log_var: Tensor) -> Tensor:  # noqa: ARG002
        """Summed over units."""
        return F.softplus(vbias + pulled).sum(-1)

    def mean_(self, pull: Tensor) -> Tensor:
        """p(v = 1 | h)."""
        return chances_(pull)

    def draw_(
        self,
        pull: Tensor,
        log_var: Tensor | None,  # noqa: ARG002
        generator: torch.Generator,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Toss a coin each."""
        return coins_(pull, generator, bias)


class SoftmaxVisible:
    """Groups of `categories` columns, one of which is 1 (Potts, one-hot)."""

    def __init__(self, categories: int) -> None:
        self.categories = categories

    def energy(self, visible: Tensor, vbias: Tensor, log_var: Tensor) -> Tensor:  # noqa: ARG002
        """Linear."""
        return -visible @ vbias

    def log_integral(self, pulled: Tensor, vbias: Tensor, log_var: Tensor) -> Tensor:  # noqa: ARG002
        """One term a group, whatever it chooses."""
        return torch.logsumexp(self.grouped(vbias + pulled), -1).sum(-1)

    def mean_(self, pull: Tensor) -> Tensor:
        """Shares that sum to 1 in each group."""
        return pull.copy_(torch.softmax(self.grouped(pull), -1).view_as(pull))

    def draw_(
        self,
        pull: Tensor,
        log_var: Tensor | None,  # noqa: ARG002
        generator: torch.Generator,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Choose one column of each group."""
        return one_hots_(self.mean_(_biased_(pull, bias)), self.categories, generator)

    def grouped(self, columns: Tensor) -> Tensor:
        """View (..., G C) as (..., G, C)."""
        return columns.view(*columns.shape[:-1], -1, self.categories)


class GaussianVisible:
    """Real, with a variance each."""

    def energy(self, visible: Tensor, vbias: Tensor, log_var: Tensor) -> Tensor:
        """Half the squares over the variances."""
        return ((visible - vbias).square() * torch.exp(-log_var)).sum(-1) / 2

    def log_integral(self, pulled: Tensor, vbias: Tensor, log_var: Tensor) -> Tensor:
        """Of a normal density."""
        quadratic = (vbias * pulled + pulled.square() / 2) * torch.exp(-log_var)
        return quadratic.sum(-1) + (len(log_var) * LOG_2PI + log_var.sum()) / 2

    def mean_(self, pull: Tensor) -> Tensor:
        """The pull itself."""
        return pull

    def draw_(
        self,
        pull: Tensor,
        log_var: Tensor | None,
        generator: torch.Generator,
        bias: Tensor | None = None,
    ) -> Tensor:
        """N(pull, S)."""
        if log_var is None:
            return normals_(pull, generator, bias)
        noise = normals_(torch.zeros_like(pull), generator)
        return _biased_(pull, bias).addcmul_(noise, torch.exp(log_var / 2))


def _biased_(pull: Tensor, bias: Tensor | None) -> Tensor:
    return pull if bias is None else pull.add_(bias)


HIDDENS: dict[str, HiddenUnits] = {
    "bernoulli": BernoulliHidden(),
    "relu": ReluHidden(),
    "gaussian": GaussianHidden(),
}


def visible_units(kind: str, categories: int) -> VisibleUnits:
    """Return the units of this kind.

    Raises:
        ValueError: there is no such kind, or the number of categories does not fit it.
    """
    if (kind == "softmax") != (categories >= 2) or categories < 0:
        raise ValueError(
            f"softmax visibles come in groups of 2 categories or more, and other kinds of 0; "
            f"got {kind!r} with {categories}"
        )
    if kind == "softmax":
        return SoftmaxVisible(categories)
    if kind == "bernoulli":
        return BernoulliVisible()
    if kind == "gaussian":
        return GaussianVisible()
    raise ValueError(f"visible units are gaussian, bernoulli or softmax, not {kind!r}")


def hidden_units(kind: str) -> HiddenUnits:
    """Return the units of this kind.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in HIDDENS:
        raise ValueError(f"hidden units are bernoulli, relu or gaussian, not {kind!r}")
    return HIDDENS[kind]
