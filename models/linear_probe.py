"""A linear probe: how much of a class lies in a linear function of an embedding.

N images, D embedding width, C classes. Multinomial logistic regression, minimised to the end by
L-BFGS in float64, as CLIP's evaluation does it (Radford et al. 2021, arXiv 2103.00020, A.3).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 1000
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """Weights double (C, D) and offsets double (C,)."""

    weight: Tensor
    bias: Tensor

    def scores(self, features: Tensor) -> Tensor:
        """Return a score of every class, higher is likelier: (N, D) to double (N, C)."""
        return features.double() @ self.weight.T + self.bias


def fit_linear_probe(features: Tensor, classes: Tensor, n_classes: int, l2: float) -> LinearProbe:
    """Minimise mean cross-entropy + l2 / 2 |weight|^2; offsets are free.

    Args:
        features: float (N, D).
        classes: int64 (N,), 0 to C - 1.
        n_classes: C.
        l2: above 0, so that the minimum is one.

    Raises:
        ValueError: counts differ, there is nothing to learn from, or l2 is not above 0.
    """
    if len(features) != len(classes) or not len(features):
        raise ValueError(f"{len(features)} rows of features and {len(classes)} classes do not fit")
    if not l2 > 0:
        raise ValueError(f"l2 is above 0, not {l2}")
    inputs = features.double()
    weight = torch.zeros(n_classes, inputs.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(n_classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weight, bias],
        max_iter=STEPS,
        tolerance_grad=TOLERANCE,
        tolerance_change=TOLERANCE**1.5,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        logits = inputs @ weight.T + bias
        loss = F.cross_entropy(logits, classes) + l2 / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return LinearProbe(weight.detach(), bias.detach())
