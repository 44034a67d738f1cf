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
    count, height, width, _ = padded.shape
    lengths = torch.tensor(sizes, device=padded.device)
    columns = _weights(lengths[:, 1], width, size)  # (B, S, W)
    rows = _weights(lengths[:, 0], height, size)  # (B, S, H)
    planes = padded.permute(0, 3, 1, 2).reshape(count, 3 * height, width).float()
    wide = _whole(planes @ columns.mT).reshape(count, 3, height, size)
    wide = wide.transpose(1, 2).reshape(count, height, 3 * size)  # (B, H, 3 S)
    square = _whole(rows @ wide).reshape(count, size, 3, size)
    return square.to(torch.uint8).permute(0, 1, 3, 2)


def _whole(planes: Tensor) -> Tensor:
    return planes.add_(0.5).floor_().clamp_(0, 255)


def _weights(lengths: Tensor, room: int, size: int) -> Tensor:
    """Return float32 (B, S, room): how much each of `room` source pixels counts for each of S.

    Only the first `lengths` of a picture do, int64 (B,); every row sums to 1. Made where the
    pictures are: for a large batch it is more bytes than they have.
    """
    scale = lengths[:, None, None] / size
    stretch = scale.clamp(min=1.0)  # shrinking widens the kernel: that is the antialiasing
    centres = (torch.arange(size, device=lengths.device)[:, None] + 0.5) * scale  # (B, S, 1)
    pixels = torch.arange(room, device=lengths.device) + 0.5
    x = ((pixels - centres) / stretch).abs()  # (B, S, room)
    near = ((SHARPNESS + 2) * x - (SHARPNESS + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * SHARPNESS
    weight = torch.where(x < 1, near, torch.where(x < SUPPORT, far, 0.0))
    weight = weight.masked_fill(pixels > lengths[:, None, None], 0.0)
    return weight / weight.sum(dim=2, keepdim=True)
