"""The kinds of visible units: what each adds to energies, and how it is drawn.

N rows, V units, G groups of C categories. `pull` is all that acts on a unit besides its own kind,
b + W h. Functions whose name ends in an underscore write over the pull they are given.
"""

from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from models.rbm.draws import Coins, Normals, chances_, coins_, normals_, one_hots_
from models.rbm.units import LOG_2PI, Drawing, biased_


class VisibleUnits(Protocol):
    """What every kind of visible units can say; `log_var` is 0 for all but Gaussian ones."""

    binary: bool  # whether all draws are 0 or 1

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

    def drawing_(self, pull: Tensor, bias: Tensor) -> Drawing:
        """Return `draw_` for one tensor in units of sigma, to be called again and again."""


class BernoulliVisible:
    """0 or 1."""

    binary = True

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

    def drawing_(self, pull: Tensor, bias: Tensor) -> Drawing:
        """Toss a coin each."""
        return Coins(pull, bias)


class SoftmaxVisible:
    """Groups of `categories` columns, one of which is 1 (Potts, one-hot)."""

    binary = True

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
        return one_hots_(self.mean_(biased_(pull, bias)), self.categories, generator)

    def drawing_(self, pull: Tensor, bias: Tensor) -> Drawing:
        """Choose one column of each group."""
        return partial(self.draw_, pull, None, bias=bias)

    def grouped(self, columns: Tensor) -> Tensor:
        """View (..., G C) as (..., G, C)."""
        return columns.view(*columns.shape[:-1], -1, self.categories)


class GaussianVisible:
    """Real, with a variance each."""

    binary = False

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
        return biased_(pull, bias).addcmul_(noise, torch.exp(log_var / 2))

    def drawing_(self, pull: Tensor, bias: Tensor) -> Drawing:
        """N(pull, 1)."""
        return Normals(pull, bias)


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
