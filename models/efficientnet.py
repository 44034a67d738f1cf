"""EfficientNet-Lite0's feature extractor, with its batch norms folded into the convolutions.

After Tan and Le 2019 (arXiv 1905.11946) and the Lite variant of the TensorFlow TPU repository:
ReLU6, no squeeze-and-excitation, TensorFlow's "SAME" padding. Folded, a picture's features do not
depend on its batch, and there is less to compute. B images of S pixels a side; G = ceil(S / 32).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURES = 1280

# repeats, kernel, stride of the first, expansion, channels out
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM = 32


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow does: the odd pixel goes to the right and the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = x.shape[-2:]
        down = max((-(-height // stride) - 1) * stride + kernel - height, 0)
        across = max((-(-width // stride) - 1) * stride + kernel - width, 0)
        if down or across:
            sides = [across // 2, across - across // 2, down // 2, down - down // 2]
            x = F.pad(x, sides)
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow; the input is added where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = nn.Conv2d(inputs, wide, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        wide = x if self.expand is None else F.relu6(self.expand(x))
        narrow = self.project(F.relu6(self.depthwise(wide)))
        return x + narrow if self.adds else torch.as_tensor(narrow)


class EfficientNetLite(nn.Module):
    """Pixels to a feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, STEM, 3, 2)
        blocks = []
        inputs = STEM
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                first = repeat == 0
                blocks.append(
                    InvertedResidual(inputs, outputs, kernel, stride if first else 1, expansion)
                )
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(inputs, FEATURES, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (B, 3, S, S), normalised as (x - 127) / 128, to (B, 1280, G, G)."""
        x = F.relu6(self.stem(pixels.contiguous(memory_format=torch.channels_last)))
        for block in self.blocks:
            x = block(x)
        return F.relu6(self.head(x))
