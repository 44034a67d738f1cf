"""RandAugment as BLIP sets it: no operation that changes a colour's name.

After Cubuk et al. 2020 (arXiv 1909.13719), with the ranges of BLIP's training code. B pictures of
S pixels a side, float on a scale from 0 to 255. Each picture draws its own operations; pictures
with the same one are worked on together.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

PROBABILITY = 0.5
FILL = 128.0
MAX_SHEAR = 0.3
MAX_TRANSLATE = 10.0  # pixels
MAX_ROTATE = math.radians(30)
LUMA = (0.299, 0.587, 0.114)

# (pictures (N, 3, S, S), magnitude 0 to 1, sign (N,)) to pictures
Operation = Callable[[Tensor, float, Tensor], Tensor]


def rand_augment(images: Tensor, magnitude: int, draws: Sequence[Tensor]) -> Tensor:
    """Apply some of the ten operations in turn, each to about half of the pictures.

    Args:
        images: float (B, 3, S, S), 0 to 255; left as it is.
        magnitude: 0 to 10.
        draws: one for each in turn, (3, B) on the CPU, in [0, 1): which operation, whether it is
            applied, and its sign.

    Returns:
        float (B, 3, S, S), 0 to 255.
    """
    for draw in draws:
        chosen = (draw[0] * len(OPERATIONS)).long()
        chosen = torch.where(draw[1] < PROBABILITY, chosen, 0).to(images.device)
        sign = torch.where(draw[2] < 0.5, -1.0, 1.0).to(images.device)
        images = images.clone()
        for number, operation in enumerate(OPERATIONS):
            rows = (chosen == number).nonzero()[:, 0]
            if len(rows) and number:
                images[rows] = operation(images[rows], magnitude / 10, sign[rows])
    return images


def identity(images: Tensor, magnitude: float, sign: Tensor) -> Tensor:  # noqa: ARG001
    """Change nothing."""
    return images


def auto_contrast(images: Tensor, magnitude: float, sign: Tensor) -> Tensor:  # noqa: ARG001
    """Stretch each channel over the whole scale; a channel of one value stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    stretched = (images - low) * 255 / (high - low).clamp(min=1e-6)
    return torch.where(high > low, stretched, images)


def equalize(images: Tensor, magnitude: float, sign: Tensor) -> Tensor:  # noqa: ARG001
    """Give each channel a flat histogram: a value becomes its rank among 256."""
    levels = images.round().clamp(0, 255).long().flatten(2)  # (N, 3, S * S)
    counts = torch.zeros(*levels.shape[:2], 256, device=images.device)
    counts.scatter_add_(2, levels, torch.ones_like(levels, dtype=counts.dtype))
    below = counts.cumsum(dim=2)
    last = counts.gather(2, levels.amax(dim=2, keepdim=True))
    step = ((levels.shape[2] - last) / 255).floor()
    rank = (((step / 2).floor() + below - counts) / step.clamp(min=1)).floor().clamp(0, 255)
    flat = rank.gather(2, levels).reshape(images.shape)
    return torch.where(step[..., None] > 0, flat, images)


def brightness(images: Tensor, magnitude: float, sign: Tensor) -> Tensor:  # noqa: ARG001
    """Scale every value."""
    return (images * _enhancement(magnitude)).clamp(0, 255)


def sharpness(images: Tensor, magnitude: float, sign: Tensor) -> Tensor:  # noqa: ARG001
    """Move away from, or towards, a smoothed picture; the border stays."""
    kernel = images.new_tensor([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(images, kernel.expand(3, 1, 3, 3), groups=3)
    return (smooth + (images - smooth) * _enhancement(magnitude)).clamp(0, 255)


def shear_x(images: Tensor, magnitude: float, sign: Tensor) -> Tensor:
    """Lean to a side."""
    return _warped(images, shear=(magnitude * MAX_SHEAR * sign, 0.0))


def shear_y(images: Tensor, magnitude: float, sign: Tensor) -> Tensor:
    """Slope up or down."""
    return _warped(images, shear=(0.0, magnitude * MAX_SHEAR * sign))


def translate_x(images: Tensor, magnitude: float, sign: Tensor) -> Tensor:
    """Move to a side."""
    return _warped(images, shift=(magnitude * MAX_TRANSLATE * sign * 2 / images.shape[-1], 0.0))


def translate_y(images: Tensor, magnitude: float, sign: Tensor) -> Tensor:
    """Move up or down."""
    return _warped(images, shift=(0.0, magnitude * MAX_TRANSLATE * sign * 2 / images.shape[-1]))


def rotate(images: Tensor, magnitude: float, sign: Tensor) -> Tensor:
    """Turn about the middle."""
    angle = magnitude * MAX_ROTATE * sign
    theta = images.new_zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = angle.cos()
    theta[:, 0, 1], theta[:, 1, 0] = -angle.sin(), angle.sin()
    return _sampled(images, theta)


OPERATIONS: tuple[Operation, ...] = (
    identity,
    auto_contrast,
    equalize,
    brightness,
    sharpness,
    shear_x,
    shear_y,
    translate_x,
    translate_y,
    rotate,
)


def _enhancement(magnitude: float) -> float:
    return 0.1 + 1.8 * magnitude


def _warped(
    images: Tensor,
    shear: tuple[Tensor | float, Tensor | float] = (0.0, 0.0),
    shift: tuple[Tensor | float, Tensor | float] = (0.0, 0.0),
) -> Tensor:
    theta = images.new_zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1.0
    theta[:, 0, 1], theta[:, 1, 0] = shear
    theta[:, 0, 2], theta[:, 1, 2] = shift
    return _sampled(images, theta)


def _sampled(images: Tensor, theta: Tensor) -> Tensor:
    # What comes from outside is zero, so around FILL it is grey.
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images - FILL, grid, align_corners=False) + FILL
