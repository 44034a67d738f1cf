"""How gradients become steps: Adam, or plain ascent with momentum."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(slots=True)
class Steps:
    """The memory of an optimiser.

    Attributes:
        optimiser: "adam" (Kingma and Ba 2015) or "sgd".
        momentum: of "sgd".
        first: moving means of the gradients, or velocities, by parameter.
        second: moving means of their squares.
    """

    optimiser: Literal["adam", "sgd"]
    momentum: float = 0.0
    first: dict[str, Tensor] = field(default_factory=dict)
    second: dict[str, Tensor] = field(default_factory=dict)

    def take(
        self, parameter: nn.Parameter, name: str, gradient: Tensor, rate: float, at: int
    ) -> Tensor:
        """Move a parameter uphill and return what `rate` scaled; `at` counts updates from 1."""
        if self.optimiser == "adam":
            gradient = self._adam(name, gradient, at)
        elif self.momentum:
            velocity = self.first.setdefault(name, torch.zeros_like(gradient))
            gradient = velocity.mul_(self.momentum).add_(gradient)
        parameter.add_(gradient, alpha=rate)
        return gradient

    def _adam(self, name: str, gradient: Tensor, at: int) -> Tensor:
        first = self.first.setdefault(name, torch.zeros_like(gradient))
        second = self.second.setdefault(name, torch.zeros_like(gradient))
        first.lerp_(gradient, 1 - BETA1)
        second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        spread = torch.sqrt(second / (1 - BETA2**at)).add_(EPSILON)
        return first.div(1 - BETA1**at).div_(spread)
