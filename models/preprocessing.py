"""Decoded pictures to model inputs, on the device where the model is.

B pictures, H by W pixels, S the model's image size. Pictures travel as uint8 and are resized and
normalised by the tensor library: a quarter of the bytes, and no Python loop.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.presets import VisionShape

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
