"""What changes over the steps of a run: learning rate, teacher share, weight-decay groups."""

import math
from typing import Any

from torch import nn

SHAPES = ("cosine", "linear", "constant")


def learning_rate(  # five numbers and a name fix the curve
    step: int,
    *,
    total: int,
    peak: float,
    warmup: int = 0,
    floor: float = 0.0,
    shape: str = "cosine",
) -> float:
    """Return the rate of step 0 <= step < total: a linear rise, then the shape's fall to `floor`.

    Raises:
        ValueError: the shape is none of cosine, linear, constant.
    """
    if shape not in SHAPES:
        raise ValueError(f"a schedule is one of {', '.join(SHAPES)}, not {shape!r}")
    if step < warmup:
        return peak * (step + 1) / warmup
    if shape == "constant":
        return peak
    done = min(max((step - warmup) / max(total - warmup, 1), 0.0), 1.0)
    left = (1 + math.cos(math.pi * done)) / 2 if shape == "cosine" else 1 - done
    return floor + (peak - floor) * left


def decayed(epoch: int, *, peak: float, decay: float, floor: float = 0.0) -> float:
    """Return the rate of an epoch from 0: BLIP's pretraining keeps 0.9 of it at each."""
    return max(peak * decay**epoch, floor)


def ramped(value: float, step: int, ramp_steps: int) -> float:
    """Return `value`, reached in a straight line from 0 over `ramp_steps`."""
    return value if ramp_steps <= 0 else value * min(step / ramp_steps, 1.0)


def decay_groups(
    model: nn.Module, weight_decay: float, *, everything: bool = False
) -> list[dict[str, Any]]:
    """Return an optimiser's parameter groups: matrices decay, biases, norms and scalars do not.

    With `everything` they do, as in BLIP's own training. Parameters that take no gradient are left
    out.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {
            "params": [p for p in trained if p.ndim <= 1],
            "weight_decay": weight_decay if everything else 0.0,
        },
    ]
