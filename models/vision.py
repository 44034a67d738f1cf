"""Image encoders: pixels in, tokens out; token 0 stands for the whole picture.

B images, T tokens (token 0 is the class token), W width, H heads, D = W / H.
The ViT is timm's as BLIP uses it (Dosovitskiy et al. 2021, arXiv 2010.11929): pre-norm, fused qkv
with bias, learned positions, exact GELU, a final norm over all tokens.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.efficientnet import FEATURES
from models.presets import VisionShape


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Turn (B, L, W) into (B, H, L, D)."""
    return x.reshape(*x.shape[:-1], heads, -1).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """Turn (B, H, L, D) into (B, L, W)."""
    return x.transpose(1, 2).flatten(2)


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, shape: VisionShape, drop_path: float) -> None:
        super().__init__()
        self.heads, self.drop_path = shape.heads, drop_path
        self.norm1 = nn.LayerNorm(shape.width, shape.norm_eps)
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.norm2 = nn.LayerNorm(shape.width, shape.norm_eps)
        self.fc1 = nn.Linear(shape.width, shape.mlp)
        self.fc2 = nn.Linear(shape.mlp, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, W) to (B, T, W)."""
        query, key, value = (
            split_heads(t, self.heads) for t in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        x = x + self._dropped(self.out(join_heads(_attend(query, key, value))))
        return x + self._dropped(self.fc2(F.gelu(self.fc1(self.norm2(x)))))

    def first(self, x: Tensor) -> Tensor:
        """Map (B, T, W) to token 0 of `forward`'s result, (B, 1, W), at a fraction of its cost."""
        width = x.shape[-1]
        normed, head = self.norm1(x), x[:, :1]
        query = F.linear(normed[:, :1], self.qkv.weight[:width], self.qkv.bias[:width])
        pair = F.linear(normed, self.qkv.weight[width:], self.qkv.bias[width:])
        key, value = (split_heads(t, self.heads) for t in pair.chunk(2, -1))
        attended = join_heads(_attend(split_heads(query, self.heads), key, value))
        head = head + self._dropped(self.out(attended))
        return head + self._dropped(self.fc2(F.gelu(self.fc1(self.norm2(head)))))

    def _dropped(self, branch: Tensor) -> Tensor:
        # Stochastic depth (Huang et al. 2016): a sample loses the branch, or has it scaled up.
        if not self.training or self.drop_path == 0:
            return branch
        kept = torch.rand(len(branch), 1, 1, device=branch.device) >= self.drop_path
        return branch * kept / (1 - self.drop_path)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value)


class ConvStem(nn.Sequential):
    """Patch embedding by three strided convolutions: small models learn much faster from it.

    After Xiao et al. 2021 (arXiv 2106.14881), without batch norm, so that a picture's tokens do
    not depend on its batch.
    """

    def __init__(self, shape: VisionShape) -> None:
        narrow, wide = shape.width // 5, 2 * shape.width // 5
        super().__init__(
            nn.Conv2d(3, narrow, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(narrow, wide, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(wide, shape.width, shape.patch // 4, stride=shape.patch // 4),
        )


class ViT(nn.Module):
    """Vision transformer; a state of another resolution is resized while it loads."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.patch: nn.Module = (
            ConvStem(shape)
            if shape.stem == "conv"
            else nn.Conv2d(3, shape.width, shape.patch, shape.patch)
        )
        self.class_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + shape.grid**2, shape.width))
        last = max(shape.depth - 1, 1)
        rates = [shape.drop_path * number / last for number in range(shape.depth)]
        self.blocks = nn.ModuleList(Block(shape, rate) for rate in rates)
        self.recomputed = 0  # of the last blocks, in the backward pass, instead of being kept
        self.norm = nn.LayerNorm(shape.width, shape.norm_eps)
        self.register_load_state_dict_pre_hook(_fit_positions)  # type: ignore[no-untyped-call]

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (B, 3, S, S) to (B, T, W)."""
        x = self._embedded(pixels)
        kept = len(self.blocks) - (self.recomputed if self.training else 0)
        for block in self.blocks[:kept]:
            x = block(x)
        for block in self.blocks[kept:]:
            x = checkpoint(block, x, use_reentrant=False)
        return torch.as_tensor(self.norm(x))

    def summary(self, pixels: Tensor) -> Tensor:
        """Return token 0 alone, (B, W); the last block then works for one token."""
        x = self._embedded(pixels)
        for block in self.blocks[:-1]:
            x = block(x)
        last = self.blocks[-1]
        assert isinstance(last, Block)
        return torch.as_tensor(self.norm(last.first(x)[:, 0]))

    def _embedded(self, pixels: Tensor) -> Tensor:
        patches = self.patch(pixels).flatten(2).transpose(1, 2)  # (B, T - 1, W)
        class_token = self.class_token.expand(len(patches), -1, -1)
        return torch.cat([class_token, patches], dim=1) + self.positions


class FeatureTokens(nn.Module):
    """A convolutional feature map as tokens: their mean first, then one for each place."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.narrow = nn.Linear(FEATURES, shape.width)
        self.positions = nn.Parameter(torch.zeros(1, 1 + shape.grid**2, shape.width))
        self.norm = nn.LayerNorm(shape.width, shape.norm_eps)
        self.register_load_state_dict_pre_hook(_fit_positions)  # type: ignore[no-untyped-call]

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, 1280, G, G) to (B, 1 + G * G, W)."""
        places = features.flatten(2).transpose(1, 2)  # (B, G * G, 1280)
        tokens = torch.cat([places.mean(dim=1, keepdim=True), places], dim=1)
        return torch.as_tensor(self.norm(self.narrow(tokens) + self.positions))

    def summary(self, features: Tensor) -> Tensor:
        """Return token 0 alone, (B, W)."""
        mean = self.narrow(features.mean(dim=(2, 3)))
        return torch.as_tensor(self.norm(mean + self.positions[:, 0]))


def resize_positions(positions: Tensor, tokens: int) -> Tensor:
    """Fit learned positions (1, 1 + G * G, W) to `tokens` tokens, bicubic over the square grid.

    The class token's position stays as it is.

    Raises:
        ValueError: either count is not a square plus one.
    """
    old, new = round((positions.shape[1] - 1) ** 0.5), round((tokens - 1) ** 0.5)
    if old * old + 1 != positions.shape[1] or new * new + 1 != tokens:
        raise ValueError(
            f"positions for {positions.shape[1]} tokens cannot become {tokens}: both must be a "
            "square number of patches and one class token"
        )
    if old == new:
        return positions
    grid = positions[:, 1:].reshape(1, old, old, -1).permute(0, 3, 1, 2).float()  # (1, W, G, G)
    grid = F.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False)
    fitted = grid.flatten(2).transpose(1, 2).to(positions.dtype)
    return torch.cat([positions[:, :1], fitted], dim=1)


def _fit_positions(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    key = f"{prefix}positions"
    if key in state:
        here = module.get_parameter("positions")
        state[key] = resize_positions(state[key], here.shape[1])
