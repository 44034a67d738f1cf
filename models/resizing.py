"""Pictures of any size to squares: a plain bicubic resize with antialiasing, as Pillow does it.

That is BLIP's test transform. Sampling without the antialiasing, or averaging areas, gives other
pixels than a model was trained on. H by W pixels become S by S, first along rows, then along
columns, each time rounded to whole numbers. Both ways below agree with Pillow but for one level of
255 in a few places of a thousand; Pillow 13 takes some tall pictures columns first, which shows
where overshooting edges are cut off at 0 and 255.

`resized` is for a CPU, one picture at a time. `resized_together` is two matrix products over a
batch of pictures of many sizes, so that a GPU needs a handful of launches a batch.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

SUPPORT = 2.0  # of the cubic kernel, in pixels
SHARPNESS = -0.5  # Catmull-Rom's; OpenCV's and torch's without antialiasing are sharper


def resized(image: Tensor, size: int) -> Tensor:
    """Resize one picture, uint8 (H, W, 3), to uint8 (S, S, 3), whatever its aspect."""
    if image.shape[:2] == (size, size):
        return image
    planes = image.permute(2, 0, 1)[None]
    square = F.interpolate(
        planes, size=(size, size), mode="bicubic", antialias=True, align_corners=False
    )
    return square[0].permute(1, 2, 0)


def resized_together(padded: Tensor, sizes: Sequence[tuple[int, int]], size: int) -> Tensor:
    """Resize pictures that were padded to one height and width.

    Args:
        padded: uint8 (B, H, W, 3); what is behind a picture's own rows and columns is not read.
        sizes: B pairs of a picture's own height and width.
        size: S.

    Returns:
        uint8 (B, S, S, 3).
    """
    _, height, width, _ = padded.shape
    rows = _weights([h for h, _ in sizes], height, size).to(padded.device)  # (B, S, H)
    columns = _weights([w for _, w in sizes], width, size).to(padded.device)  # (B, S, W)
    planes = padded.permute(0, 3, 1, 2).float()  # (B, 3, H, W)
    wide = _whole(planes @ columns[:, None].mT)  # (B, 3, H, S)
    square = _whole(rows[:, None] @ wide)  # (B, 3, S, S)
    return square.to(torch.uint8).permute(0, 2, 3, 1)


def _whole(planes: Tensor) -> Tensor:
    return planes.add_(0.5).floor_().clamp_(0, 255)


def _weights(lengths: Sequence[int], room: int, size: int) -> Tensor:
    """Return float32 (B, S, room): how much each source pixel counts for each of S pixels."""
    different = sorted(set(lengths))
    table = torch.zeros(len(different), size, room)
    for place, length in enumerate(different):
        table[place, :, :length] = _filter(length, size)
    return table[[different.index(length) for length in lengths]]


@lru_cache(maxsize=4096)
def _filter(length: int, size: int) -> Tensor:
    """Return float32 (S, length), each row summing to 1."""
    scale = length / size
    stretch = max(scale, 1.0)  # shrinking widens the kernel: that is the antialiasing
    centres = (torch.arange(size, dtype=torch.float64) + 0.5) * scale
    first = (centres - SUPPORT * stretch + 0.5).floor().clamp(min=0)
    last = (centres + SUPPORT * stretch + 0.5).floor().clamp(max=length)
    pixels = torch.arange(length, dtype=torch.float64)
    x = ((pixels + 0.5 - centres[:, None]) / stretch).abs()
    near = ((SHARPNESS + 2) * x - (SHARPNESS + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * SHARPNESS
    weight = torch.where(x < 1, near, torch.where(x < SUPPORT, far, 0.0))
    weight = weight * ((pixels >= first[:, None]) & (pixels < last[:, None]))
    return (weight / weight.sum(dim=1, keepdim=True)).float()
