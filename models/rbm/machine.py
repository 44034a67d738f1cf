"""Restricted Boltzmann Machines with Gaussian or Bernoulli visibles and Bernoulli hiddens.

N rows, V visible units, H hidden units. Conventions of Cho, Ilin and Raiko (2011) and Liao et al.
(2022): with S = diag(sigma^2), Gaussian visibles,

    E(v, h) = (v - b)' S^-1 (v - b) / 2 - v' S^-1 W h - c' h
    p(h_j = 1 | v) = sigmoid(c_j + (W' S^-1 v)_j),    p(v | h) = N(b + W h, S)

and for Bernoulli ones E(v, h) = -b' v - v' W h - c' h. W is `weight`, b `vbias`, c `hbias`.
Every random draw takes a generator, and nothing depends on how rows are batched.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Visible = Literal["gaussian", "bernoulli"]
LOG_2PI = math.log(2 * math.pi)


class RBM(nn.Module):
    """A machine with `n_visible` visible and `n_hidden` hidden units; float64 unless told."""

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        visible: Visible = "gaussian",
        *,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        if n_visible < 1 or n_hidden < 1:
            raise ValueError(f"a machine has 1 unit or more a side, not {n_visible} x {n_hidden}")
        if visible not in ("gaussian", "bernoulli"):
            raise ValueError(f"visible units are gaussian or bernoulli, not {visible!r}")
        self.visible = visible
        self.weight = nn.Parameter(torch.zeros(n_visible, n_hidden, dtype=dtype))
        self.vbias = nn.Parameter(torch.zeros(n_visible, dtype=dtype))
        self.hbias = nn.Parameter(torch.zeros(n_hidden, dtype=dtype))
        # Bernoulli machines keep it at 0, so that 1 / sigma^2 is 1 in the shared formulas.
        self.log_var = nn.Parameter(torch.zeros(n_visible, dtype=dtype))
        self.requires_grad_(False)

    @property
    def n_visible(self) -> int:
        """V."""
        return self.weight.shape[0]

    @property
    def n_hidden(self) -> int:
        """H."""
        return self.weight.shape[1]

    def initialise(self, rows: Tensor, generator: torch.Generator) -> None:
        """Start from data: a zero start is a saddle on whitened data, and nothing is learnt there.

        Gaussian: columns of W are half of random rows, and hidden biases make each unit active
        on about one row in ten. Bernoulli: small random W, visible biases from the means.

        Args:
            rows: (N, V), of the kind the machine will be trained on.
            generator: of the draws.

        Raises:
            ValueError: no machine of this kind can learn from these rows.
        """
        self.refuse_unfit(rows)
        rows = self._checked(rows)
        if self.visible == "bernoulli":
            noise = torch.randn(self.weight.shape, generator=generator, dtype=torch.float64)
            self.weight.copy_(0.01 * noise)
            mean = rows.mean(0).clamp(1e-3, 1 - 1e-3)
            self.vbias.copy_(torch.log(mean / (1 - mean)))
            return
        chosen = torch.randint(len(rows), (self.n_hidden,), generator=generator)
        self.weight.copy_(0.5 * rows[chosen].T)
        some = rows[torch.randint(len(rows), (2000,), generator=generator)]
        self.hbias.copy_(-torch.quantile(self.field(some), 0.9, dim=0))

    def precision(self) -> Tensor:
        """1 / sigma^2, (V,); ones for Bernoulli visibles."""
        return torch.exp(-self.log_var)

    def field(self, visible: Tensor) -> Tensor:
        """W' S^-1 v, (N, H): what the visibles add to the hidden biases."""
        return (visible * self.precision()) @ self.weight

    def visible_energy(self, visible: Tensor) -> Tensor:
        """The part of the energy without hiddens, (N,)."""
        if self.visible == "bernoulli":
            return -visible @ self.vbias
        return ((visible - self.vbias).square() * self.precision()).sum(-1) / 2

    def energy(self, visible: Tensor, hidden: Tensor) -> Tensor:
        """E(v, h), (N,), for visible (N, V) and hidden (N, H)."""
        visible = self._checked(visible)
        field = self.hbias + self.field(visible)
        return self.visible_energy(visible) - (field * hidden).sum(-1)

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
        # softplus, not log(1 + exp(x)): the latter overflows.
        hidden = F.softplus(self.hbias + self.field(visible)).sum(-1)
        return self.visible_energy(visible) - hidden

    def log_likelihood(self, visible: Tensor, log_z: float) -> Tensor:
        """Log p(v), (N,), in nats, given the log partition function."""
        return -self.free_energy(visible) - log_z

    def transform(self, visible: Tensor) -> Tensor:
        """p(h = 1 | v), (N, H)."""
        return torch.sigmoid(self.hbias + self.field(self._checked(visible)))

    def mean_visible(self, hidden: Tensor) -> Tensor:
        """E[v | h], (N, V)."""
        mean = self.vbias + hidden @ self.weight.T
        return torch.sigmoid(mean) if self.visible == "bernoulli" else mean

    def sample_hidden(self, visible: Tensor, generator: torch.Generator) -> Tensor:
        """Draw h given v, (N, H) of 0 and 1."""
        return coins(self.transform(visible), generator)

    def sample_visible(self, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """Draw v given h, (N, V)."""
        mean = self.mean_visible(hidden)
        if self.visible == "bernoulli":
            return coins(mean, generator)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + noise * torch.exp(self.log_var / 2)

    def gibbs_step(self, visible: Tensor, generator: torch.Generator, steps: int = 1) -> Tensor:
        """Take `steps` sweeps v -> h -> v' from (N, V)."""
        for _ in range(steps):
            visible = self.sample_visible(self.sample_hidden(visible, generator), generator)
        return visible

    def sample_conditional(
        self, visible: Tensor, observed: Tensor, generator: torch.Generator, steps: int = 100
    ) -> Tensor:
        """Gibbs-sample the units that are not observed, given those that are.

        Args:
            visible: (N, V), with the observed units' values and any start for the others.
            observed: bool (V,), true where the value is clamped.
            generator: of the draws.
            steps: sweeps.
        """
        clamped = visible
        for _ in range(steps):
            drawn = self.gibbs_step(clamped, generator)
            clamped = torch.where(observed, visible, drawn)
        return clamped

    def pseudo_log_likelihood(self, visible: Tensor) -> Tensor:
        """Sum over units of log p(v_i | the others), (N,); exact, V free energies a row.

        Raises:
            ValueError: the visibles are Gaussian, where it is not defined this way.
        """
        if self.visible != "bernoulli":
            raise ValueError("pseudo-likelihood flips bits; this machine's visibles are Gaussian")
        visible = self._checked(visible)
        here = self.free_energy(visible)
        total = torch.zeros_like(here)
        for unit in range(self.n_visible):
            flipped = visible.clone()
            flipped[:, unit] = 1 - flipped[:, unit]
            total += F.logsigmoid(self.free_energy(flipped) - here)
        return total

    def refuse_unfit(self, rows: Tensor) -> None:
        """Raise a ValueError when there are no rows, or values that cannot be learnt from."""
        if not len(rows):
            raise ValueError("there are no rows to learn from")
        bad = ~torch.isfinite(rows)
        if bool(bad.any()):
            raise ValueError(
                f"{int(bad.any(-1).sum())} of {len(rows)} rows hold NaN or infinite values; drop "
                "them first"
            )
        low, high = float(rows.min()), float(rows.max())
        if self.visible == "bernoulli" and not 0 <= low <= high <= 1:
            raise ValueError(
                f"Bernoulli visibles are probabilities from 0 to 1, these go from {low:g} to "
                f"{high:g}; scale them, or use gaussian visibles"
            )

    def _checked(self, visible: Tensor) -> Tensor:
        if visible.shape[-1] != self.n_visible:
            raise ValueError(
                f"visible has {visible.shape[-1]} units, this machine has {self.n_visible}; "
                "were the embeddings exported by another model, or whitened by another run?"
            )
        return visible.to(self.weight.dtype)


def coins(probability: Tensor, generator: torch.Generator) -> Tensor:
    """Draw 0 or 1 with these probabilities, in their dtype."""
    # Comparing uniforms is twice as fast as torch.bernoulli on a CPU.
    uniform = torch.rand(
        probability.shape,
        generator=generator,
        dtype=probability.dtype,
        device=probability.device,
    )
    return (uniform < probability).to(probability.dtype)
