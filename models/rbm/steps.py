"""How gradients become steps: Adam, or plain ascent with momentum."""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from models.rbm.draws import cached

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

    def direction(self, name: str, gradient: Tensor, at: int) -> tuple[Tensor, float]:
        """Return where a parameter goes, and what that is multiplied by besides the rate.

        `at` counts updates from 1.
        """
        if self.optimiser == "adam":
            return self._adam(name, gradient, at)
        if self.momentum:
            velocity = self._kept(self.first, name, gradient)
            gradient = torch.add(gradient, velocity, alpha=self.momentum, out=velocity)
        return gradient, 1.0

    def _adam(self, name: str, gradient: Tensor, at: int) -> tuple[Tensor, float]:
        first = self._kept(self.first, name, gradient)
        second = self._kept(self.second, name, gradient)
        unbiased = math.sqrt(1 - BETA2**at)
        spread = torch.empty_like(first)
        pieces = (cached(whole) for whole in (gradient, first, second, spread))
        for given, mean, square, out in zip(*pieces, strict=True):
            mean.lerp_(given, 1 - BETA1)
            square.mul_(BETA2).addcmul_(given, given, value=1 - BETA2)
            torch.sqrt(square, out=out).add_(EPSILON * unbiased)
            torch.div(mean, out, out=out)
        return spread, unbiased / (1 - BETA1**at)

    @staticmethod
    def _kept(memory: dict[str, Tensor], name: str, like: Tensor) -> Tensor:
        if name not in memory:
            memory[name] = torch.zeros_like(like)
        return memory[name]
