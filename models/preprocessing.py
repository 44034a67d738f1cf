"""Decoded pictures to model inputs, on the device where the model is.

B pictures, H by W pixels, S the model's image size. Pictures travel as uint8 and are resized and
normalised by the tensor library: a quarter of the bytes, and no Python loop.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.presets import VisionShape
from models.randaugment import rand_augment
from models.ranks import ALONE, Ranks

# mean and standard deviation of each channel, on a scale from 0 to 255
NORMALISATIONS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    # OpenAI CLIP's, which BLIP uses too.
    "clip": (
        (0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255),
        (0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255),
    ),
    # EfficientNet-Lite's: ImageNet's own mean and deviation would lose most of its accuracy.
    "efficientnet": ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
}


def to_pixels(images: Tensor, size: int, normalisation: str = "clip") -> Tensor:
    """Resize to a square, whatever the aspect, and normalise: BLIP's test transform.

    Args:
        images: uint8 (B, H, W, 3), RGB.
        size: S.
        normalisation: a name in `NORMALISATIONS`.

    Returns:
        float (B, 3, S, S).

    Raises:
        ValueError: images are not uint8 (B, H, W, 3).
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(
            f"images are uint8 (B, H, W, 3), got {images.dtype} {tuple(images.shape)}; decode "
            "pictures to RGB and stack them"
        )
    pixels = images.permute(0, 3, 1, 2).float()
    if pixels.shape[-2:] != (size, size):
        pixels = F.interpolate(
            pixels, size=(size, size), mode="bicubic", antialias=True, align_corners=False
        ).clamp(0, 255)
    mean, deviation = (
        pixels.new_tensor(row)[:, None, None] for row in NORMALISATIONS[normalisation]
    )
    return (pixels - mean) / deviation


def pixels_for(vision: VisionShape, images: Tensor) -> Tensor:
    """Return `to_pixels` of uint8 (B, H, W, 3) at a model's own size and normalisation."""
    return to_pixels(images, vision.image_size, vision.normalisation)


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How training pictures are varied; the defaults are BLIP's pretraining.

    Attributes:
        min_scale: smallest share of the picture's area that a crop keeps; 1 with `max_aspect` 1
            keeps it whole.
        max_aspect: widest ratio of a crop's sides.
        flip: mirror half of the pictures. Wrong where captions say left and right.
        operations: RandAugment operations a picture, each applied with probability one half.
        magnitude: their strength, 0 to 10.
    """

    min_scale: float = 0.2
    max_aspect: float = 4 / 3
    flip: bool = True
    operations: int = 2
    magnitude: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.min_scale <= 1:
            raise ValueError(f"min_scale is a share of the area in (0, 1], not {self.min_scale}")
        if self.max_aspect < 1:
            raise ValueError(f"max_aspect is a ratio of 1 or more, not {self.max_aspect}")
        if not 0 <= self.magnitude <= 10 or self.operations < 0:
            raise ValueError("magnitude lies between 0 and 10, operations is 0 or more")


LIGHT = Augmentation(min_scale=0.7, max_aspect=1.1, flip=False, operations=0)


def augment(
    images: Tensor,
    size: int,
    generator: torch.Generator,
    how: Augmentation,
    *,
    ranks: Ranks = ALONE,
    aspects: Tensor | None = None,
) -> Tensor:
    """Crop, mirror and vary each picture by itself.

    The crop's corner and size are free (a fraction of a pixel counts) and it is read bilinearly.
    A crop that would reach beyond the picture ends at its edges.

    Args:
        images: uint8 (B, H, W, 3), RGB.
        size: S.
        generator: on the CPU; the only source of chance.
        how: which variations.
        ranks: a rank varies its pictures as it would among those of all.
        aspects: float (B,), what W / H was before a picture was squeezed to these pixels: a crop's
            sides are in proportion there, as when the whole picture is cropped. None: as they are.

    Returns:
        uint8 (B, S, S, 3), as `to_pixels` takes it.
    """
    keeps_all = how.min_scale == 1 and how.max_aspect == 1
    given = None if keeps_all else aspects
    squeezed = None if given is None else given * (images.shape[1] / images.shape[2])
    theta = _crops(ranks.uniform(5, len(images), generator), how, squeezed).to(images.device)
    grid = F.affine_grid(theta, [len(images), 3, size, size], align_corners=False)
    pictures = images.permute(0, 3, 1, 2).float()
    crops = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    crops = rand_augment(
        crops,
        how.magnitude,
        [ranks.uniform(3, len(images), generator) for _ in range(how.operations)],
    )
    return crops.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _crops(draw: Tensor, how: Augmentation, squeezed: Tensor | None = None) -> Tensor:
    """Return (B, 2, 3) maps from the crop's square to the picture's, both from -1 to 1.

    `draw` is five numbers in [0, 1) a picture, (5, B); `squeezed` how much narrower than it was the
    picture is now, (B,).
    """
    area = how.min_scale + (1 - how.min_scale) * draw[0]
    stretch = torch.exp((2 * draw[1] - 1) * math.log(how.max_aspect) / 2)
    if squeezed is not None:
        stretch = stretch / squeezed.sqrt()
    wide = (area.sqrt() * stretch).clamp(max=1.0)
    high = (area.sqrt() / stretch).clamp(max=1.0)
    mirrored = (draw[4] < 0.5) & how.flip
    theta = torch.zeros(draw.shape[1], 2, 3)
    theta[:, 0, 0] = torch.where(mirrored, -wide, wide)
    theta[:, 1, 1] = high
    theta[:, 0, 2] = (1 - wide) * (2 * draw[2] - 1)
    theta[:, 1, 2] = (1 - high) * (2 * draw[3] - 1)
    return theta
