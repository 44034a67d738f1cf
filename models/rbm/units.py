"""What the two sides of a machine share: the names of their kinds, and how draws are asked for."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Visible = Literal["gaussian", "bernoulli", "softmax"]
Hidden = Literal["bernoulli", "relu", "gaussian"]
LOG_2PI = math.log(2 * math.pi)
# Turns what lies in one tensor into draws, at every call anew.
Drawing = Callable[[torch.Generator], Tensor]


def biased_(pull: Tensor, bias: Tensor | None) -> Tensor:
    """Add a bias, if there is one."""
    return pull if bias is None else pull.add_(bias)
