"""Restricted Boltzmann Machines: Gaussian, Bernoulli or softmax visibles, several kinds of hiddens.

N rows, V visible units, H hidden units. Conventions of Cho, Ilin and Raiko (2011) and Liao et al.
(2022): with S = diag(sigma^2), Gaussian visibles and Bernoulli hiddens,

    E(v, h) = (v - b)' S^-1 (v - b) / 2 - v' S^-1 W h - c' h
    p(h_j = 1 | v) = sigmoid(c_j + (W' S^-1 v)_j),    p(v | h) = N(b + W h, S)

and for Bernoulli or softmax ones E(v, h) = -b' v - v' W h - c' h. Gaussian and rectified hiddens
add h' h / 2. W is `weight`, b `vbias`, c `hbias`. Every random draw takes a generator, and nothing
depends on how rows are batched.
"""

from typing import Any, Self

import torch
from torch import Tensor, nn

from models.rbm.hiddens import hidden_units
from models.rbm.products import products
from models.rbm.rooms import pieces
from models.rbm.shapes import hiddens_of, see_clamped, visibles_of
from models.rbm.starting import start
from models.rbm.units import Hidden, Visible
from models.rbm.visibles import visible_units

# Rows that sweep together: enough for products to run at their full rate and to read W seldom.
ROWS_AT_ONCE = 1024


class RBM(nn.Module):
    """A machine with `n_visible` visible and `n_hidden` hidden units; float64 unless told.

    Softmax visibles come in groups of `categories` columns, all counted in `n_visible`; other kinds
    have 0. A machine that cannot be is a ValueError.
    """

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        visible: Visible = "gaussian",
        hidden: Hidden = "bernoulli",
        *,
        categories: int = 0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        if n_visible < 1 or n_hidden < 1:
            raise ValueError(f"a machine has 1 unit or more a side, not {n_visible} x {n_hidden}")
        if dtype not in (torch.float32, torch.float64):
            # In half precision updates of 1e-5 vanish.
            raise ValueError(f"a machine is of float32 or float64, not of {dtype}")
        self.visibles = visible_units(visible, categories)
        self.hiddens = hidden_units(hidden)
        if categories and n_visible % categories:
            raise ValueError(f"{n_visible} columns do not make groups of {categories} categories")
        self.visible, self.hidden, self.categories = visible, hidden, categories
        self.weight = nn.Parameter(torch.zeros(n_visible, n_hidden, dtype=dtype))
        self.vbias = nn.Parameter(torch.zeros(n_visible, dtype=dtype))
        self.hbias = nn.Parameter(torch.zeros(n_hidden, dtype=dtype))
        # All but Gaussian machines keep it at 0, so that 1 / sigma^2 is 1 in the shared formulas.
        self.log_var = nn.Parameter(torch.zeros(n_visible, dtype=dtype))
        self.requires_grad_(False)

    @classmethod
    def of(cls, architecture: dict[str, Any]) -> Self:
        """Build the machine that `architecture()` told of, its parameters at 0."""
        given = dict(architecture)
        return cls(**{**given, "dtype": getattr(torch, given["dtype"])})

    def architecture(self) -> dict[str, Any]:
        """Say in JSON's types what `RBM.of` needs."""
        return {
            "n_visible": self.n_visible,
            "n_hidden": self.n_hidden,
            "visible": self.visible,
            "hidden": self.hidden,
            "categories": self.categories,
            "dtype": str(self.weight.dtype).removeprefix("torch."),
        }

    @property
    def n_visible(self) -> int:
        """V."""
        return self.weight.shape[0]

    @property
    def n_hidden(self) -> int:
        """H."""
        return self.weight.shape[1]

    @torch.no_grad()
    def initialise(self, rows: Tensor, generator: torch.Generator) -> None:
        """Start from data.

        Gaussian: visible biases and variances are the columns'. Near W = 0 nothing is learnt from
        white columns, a saddle, so columns of W are half of random rows then, and hidden biases
        make each unit active on about one row in ten. Columns that go together lead away from it,
        and W is small and random, which ends higher. A column that never varies has variance 1.
        Other kinds: small random W, visible biases from the means.

        Args:
            rows: (N, V), of the kind the machine will be trained on.
            generator: of the draws.

        Raises:
            ValueError: no machine of this kind can learn from these rows.
        """
        start(self, rows, generator)

    def gain(self) -> float:
        """The largest singular value of S^-1/2 W.

        With Gaussian visibles, and Gaussian or rectified hiddens, the density has a finite integral
        while it is below 1.
        """
        return float(
            torch.linalg.matrix_norm(torch.exp(-self.log_var / 2)[:, None] * self.weight, 2)
        )

    def precision(self) -> Tensor:
        """1 / sigma^2, (V,); ones for other than Gaussian visibles."""
        return torch.exp(-self.log_var)

    def field(self, visible: Tensor) -> Tensor:
        """W' S^-1 v, (N, H): what the visibles add to the hidden biases."""
        return self.scaled(visible) @ self.weight

    def pull_on_hidden(self, visible: Tensor) -> Tensor:
        """All that acts on the hiddens, c + W' S^-1 v, (N, H)."""
        return torch.addmm(self.hbias, self.scaled(visible), self.weight)

    def visible_energy(self, visible: Tensor) -> Tensor:
        """The part of the energy without hiddens, (N,)."""
        return self.visibles.energy(visible, self.vbias, self.log_var)

    def energy(self, visible: Tensor, hidden: Tensor) -> Tensor:
        """E(v, h), (N,), for visible (N, V) and hidden (N, H)."""
        visible, hidden = self._checked(visible), hiddens_of(hidden, self.weight)
        linear = (self.pull_on_hidden(visible) * hidden).sum(-1)
        return self.visible_energy(visible) + self.hiddens.energy(hidden) - linear

    def free_energy(self, visible: Tensor) -> Tensor:
        """Return -log of the sum over h of exp(-E(v, h)), in nats.

        Lower means the machine finds the row likelier; the partition function is left out, so
        values compare only within one machine.

        Args:
            visible: float (N, V).

        Returns:
            float (N,).

        Raises:
            ValueError: the last dimension of `visible` is not V.
        """
        visible = self._checked(visible)
        hidden = self.hiddens.log_integral(self.pull_on_hidden(visible)).sum(-1)
        return self.visible_energy(visible) - hidden

    def log_likelihood(self, visible: Tensor, log_z: float) -> Tensor:
        """Log p(v), (N,), in nats, given the log partition function."""
        return -self.free_energy(visible) - log_z

    def score(self, visible: Tensor) -> Tensor:
        """The gradient of log p(v) in v, (N, V).

        Raises:
            ValueError: the visibles are not Gaussian: there is no such gradient.
        """
        if self.visible != "gaussian":
            raise ValueError(
                f"log p has a gradient in Gaussian visibles, not in {self.visible} ones"
            )
        visible = self._checked(visible)
        return (self.reconstruct(visible) - visible) * self.precision()

    def transform(self, visible: Tensor) -> Tensor:
        """E[h | v], (N, H): of Bernoulli hiddens their probabilities to be on."""
        return self.hiddens.mean_(self.pull_on_hidden(self._checked(visible)))

    def mean_visible(self, hidden: Tensor) -> Tensor:
        """E[v | h], (N, V)."""
        hidden = hiddens_of(hidden, self.weight)
        return self.visibles.mean_(torch.addmm(self.vbias, hidden, self.weight.T))

    def reconstruct(self, visible: Tensor) -> Tensor:
        """E[v | E[h | v]], (N, V)."""
        return self.mean_visible(self.transform(visible))

    @torch.no_grad()
    def sample_hidden(self, visible: Tensor, generator: torch.Generator) -> Tensor:
        """Draw h given v, (N, H)."""
        return self.hiddens.draw_(self.pull_on_hidden(self._checked(visible)), generator)

    @torch.no_grad()
    def sample_visible(self, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """Draw v given h, (N, V)."""
        pull = torch.addmm(self.vbias, hiddens_of(hidden, self.weight), self.weight.T)
        return self.visibles.draw_(pull, self.log_var, generator)

    @torch.no_grad()
    def gibbs_step(self, visible: Tensor, generator: torch.Generator, steps: int = 1) -> Tensor:
        """Take `steps` sweeps v -> h -> v' from (N, V)."""
        return self._walked(self._checked(visible), generator, steps, None)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, sweeps: int = 1000) -> Tensor:
        """Draw (count, V) by Gibbs sampling from the machine without weights."""
        if count < 0:
            raise ValueError(f"0 rows or more are drawn, not {count}")
        pull = self.vbias.expand(count, -1).clone()
        return self.gibbs_step(
            self.visibles.draw_(pull, self.log_var, generator), generator, sweeps
        )

    @torch.no_grad()
    def sample_conditional(
        self, visible: Tensor, observed: Tensor, generator: torch.Generator, steps: int = 100
    ) -> Tensor:
        """Gibbs-sample the units that are not observed, given those that are.

        Args:
            visible: (N, V), with the observed units' values and any start for the others.
            observed: bool (V,), true where the value is clamped.
            generator: of the draws.
            steps: sweeps.

        Raises:
            ValueError: `observed` is of another shape or type, or a softmax group is observed in
                part.
        """
        see_clamped(observed, self.n_visible, self.categories)
        return self._walked(self._checked(visible), generator, steps, observed)

    def _walked(
        self, visible: Tensor, generator: torch.Generator, steps: int, observed: Tensor | None
    ) -> Tensor:
        if steps < 0:
            raise ValueError(f"chains take 0 sweeps or more, not {steps}")
        if steps == 0:
            return visible.clone()
        weight, vbias, deviation = self.in_units_of_sigma()
        walked = torch.empty_like(visible)
        onto_hidden, onto_visible = products(
            weight,
            len(visible) * steps,
            onto_hidden=self.visibles.binary and observed is None,
            onto_visible=self.hiddens.binary,
        )
        for rows, given in zip(self.cached(walked), self.cached(visible), strict=True):
            start = given
            if deviation is not None:
                start = torch.div(given, deviation, out=rows if observed is None else None)
            # Given rows may hold any values: they are not multiplied as draws are.
            hidden = torch.mm(start, weight)
            # Biases are added in the draws, a piece at a time: in a product they cost more.
            draw_hidden = self.hiddens.drawing_(hidden, self.hbias)
            draw_visible = self.visibles.drawing_(rows, vbias)
            for sweep in range(steps):
                if sweep:
                    onto_hidden(rows, hidden, None)
                draw_hidden(generator)
                onto_visible(hidden, rows, None)
                draw_visible(generator)
                if observed is not None:
                    rows.copy_(torch.where(observed, start, rows))
            _scale_(rows, deviation)
        return walked if observed is None else torch.where(observed, visible, walked)

    def in_units_of_sigma(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return S^-1/2 W, S^-1/2 b and sigma, so that sweeps need no product with S^-1.

        Of other than Gaussian visibles, and where all variances are 1, W, b and nothing.
        """
        if self.visible != "gaussian" or not bool(self.log_var.any()):
            return self.weight, self.vbias, None
        deviation = torch.exp(self.log_var / 2)
        return self.weight / deviation[:, None], self.vbias / deviation, deviation

    def cached(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Split into what sweeps together; a GPU takes all at once."""
        return pieces(rows, len(rows) if rows.is_cuda else ROWS_AT_ONCE)

    def scaled(self, visible: Tensor) -> Tensor:
        """S^-1 v, (N, V)."""
        return visible * self.precision() if self.visible == "gaussian" else visible

    def _checked(self, visible: Tensor) -> Tensor:
        return visibles_of(visible, self.weight)


def _scale_(rows: Tensor, deviation: Tensor | None) -> None:
    if deviation is not None:
        rows.mul_(deviation)
