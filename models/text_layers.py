"""What a text layer is made of: BERT's post-norm parts, with cross-attention among them.

N sequences, L tokens, W width, H heads, D = W / H; B images of T tokens. x is (N, L, W), or (M, W)
of M real tokens alone where a packing says which those are (`models.packing`).
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.packing import UNPADDED, Packing
from models.presets import TextShape
from models.vision import join_heads, split_heads

Role = Literal["encoder", "decoder"]


class SelfAttention(nn.Module):
    """Attention over the sequence itself, residual and norm included."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.norm = nn.LayerNorm(shape.width, shape.norm_eps)

    def project(self, x: Tensor, packing: Packing = UNPADDED) -> tuple[Tensor, Tensor, Tensor]:
        """Return query, key and value of x, (N, H, L, D) each."""
        joined = packing.padded(self.qkv(x))
        query, key, value = (split_heads(t, self.heads) for t in joined.chunk(3, -1))
        return query, key, value

    def project_first(self, x: Tensor, packing: Packing) -> tuple[Tensor, Tensor, Tensor]:
        """The same with the query of token 0 alone, (N, H, 1, D)."""
        width = x.shape[-1]
        query = F.linear(packing.firsts(x), self.qkv.weight[:width], self.qkv.bias[:width])
        pair = packing.padded(F.linear(x, self.qkv.weight[width:], self.qkv.bias[width:]))
        key, value = (split_heads(t, self.heads) for t in pair.chunk(2, -1))
        return split_heads(query, self.heads), key, value

    def attend(
        self,
        x: Tensor,
        qkv: tuple[Tensor, Tensor, Tensor],
        mask: Tensor | None,
        packing: Packing = UNPADDED,
        *,
        causal: bool,
    ) -> Tensor:
        """Return norm(x + attention), shaped as x; `mask` is bool (N, 1, 1, L), true = visible."""
        rate = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(
            *qkv, attn_mask=mask, dropout_p=rate, is_causal=causal
        )
        branch = self.out(packing.packed(join_heads(mixed)))
        return torch.as_tensor(self.norm(x + F.dropout(branch, rate, self.training)))


class CrossAttention(nn.Module):
    """Attention of text over image tokens, residual and norm included."""

    def __init__(self, shape: TextShape, vision_width: int) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.query = nn.Linear(shape.width, shape.width)
        self.key_value = nn.Linear(vision_width, 2 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.norm = nn.LayerNorm(shape.width, shape.norm_eps)

    def project(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Map image tokens (B, T, Wv) to key and value, (B, H, T, D) each."""
        key, value = (split_heads(t, self.heads) for t in self.key_value(tokens).chunk(2, -1))
        return key, value

    def forward(
        self,
        x: Tensor,
        pair: tuple[Tensor, Tensor],
        packing: Packing = UNPADDED,
        extra: tuple[Tensor, Tensor, Tensor] | None = None,
        visible: Tensor | None = None,
    ) -> Tensor:
        """Map x to its like, with the images' key and value; N = B * G, G texts in a row an image.

        `extra` is key, value and gate of tokens that are attended to apart from the image's;
        `visible`, bool (B, 1, 1, T), says which of the image's are real.
        """
        rate, (key, value) = self.dropout if self.training else 0.0, pair
        asked = packing.padded(self.query(x))  # (N, L, W)
        # Texts of one image stand side by side on the query axis, so its keys are read once.
        query = split_heads(asked.reshape(len(key), -1, asked.shape[-1]), self.heads)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=rate)
        if extra is not None:
            heard = F.scaled_dot_product_attention(query, extra[0], extra[1])
            mixed = mixed + torch.tanh(extra[2]) * heard
        branch = self.out(packing.packed(join_heads(mixed).reshape(asked.shape)))
        return torch.as_tensor(self.norm(x + F.dropout(branch, rate, self.training)))


class Mlp(nn.Module):
    """The feed-forward part, residual and norm included."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.dropout = shape.dropout
        self.fc1 = nn.Linear(shape.width, shape.mlp)
        self.fc2 = nn.Linear(shape.mlp, shape.width)
        self.norm = nn.LayerNorm(shape.width, shape.norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """Map x to its like."""
        branch = self.fc2(F.gelu(self.fc1(x)))
        return torch.as_tensor(self.norm(x + F.dropout(branch, self.dropout, self.training)))


class TextLayer(nn.Module):
    """A self-attention for each role; one cross-attention and one MLP for all."""

    def __init__(self, shape: TextShape, vision_width: int, roles: Sequence[Role]) -> None:
        super().__init__()
        self.self_attention = nn.ModuleDict({role: SelfAttention(shape) for role in roles})
        self.cross = CrossAttention(shape, vision_width)
        self.mlp = Mlp(shape)

    def attention(self, role: Role) -> SelfAttention:
        """Return the self-attention of a role."""
        chosen = self.self_attention[role]
        assert isinstance(chosen, SelfAttention)
        return chosen
