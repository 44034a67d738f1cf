"""The text stack: one set of layers read in three roles.

N sequences, L tokens, W width, H heads, D = W / H; B images of T tokens.
BERT's post-norm blocks (Devlin et al. 2019) with cross-attention between self-attention and MLP
(Li et al. 2022, section 3.1). Encoder and decoder share everything but self-attention: each layer
owns two of those and one of the rest, so sharing needs no tying.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.presets import TextShape
from models.vision import join_heads, split_heads

Role = Literal["encoder", "decoder"]


Pairs = tuple[tuple[Tensor, Tensor], ...]


@dataclass(frozen=True, slots=True)
class ImageKeys:
    """Keys and values of B images for every layer, (B, H, T, D) each; projected once.

    Attributes:
        layers: of the image's tokens.
        extra: of tokens that the decoder alone looks at, (B, H, M, D) each; empty without them.
        gate: () by how much it does.
        visible: bool (B, 1, 1, T), given when some tokens are padding: those of the questions that
            an answer reads in the place of an image.
    """

    layers: Pairs
    extra: Pairs = ()
    gate: Tensor | None = None
    visible: Tensor | None = None

    def __len__(self) -> int:
        return len(self.layers[0][0])

    def beside(self, *others: "ImageKeys") -> "ImageKeys":
        """Return the keys of these images and then of the others'."""
        return ImageKeys(
            tuple(
                (torch.cat([k for k, _ in layer]), torch.cat([v for _, v in layer]))
                for layer in zip(self.layers, *(o.layers for o in others), strict=True)
            )
        )

    def select(self, index: Tensor) -> "ImageKeys":
        """Return the keys of images `index`, int64 (N,), repeats allowed."""
        layers, extra = (
            tuple((k.index_select(0, index), v.index_select(0, index)) for k, v in pairs)
            for pairs in (self.layers, self.extra)
        )
        visible = None if self.visible is None else self.visible.index_select(0, index)
        return ImageKeys(layers, extra, self.gate, visible)

    def gated(self, layer: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """Return key, value and gate of the extra tokens in a layer; None without them."""
        return (*self.extra[layer], self.gate) if self.gate is not None else None


class Cache:
    """The decoder's past: room for `length` tokens in every layer, filled in place."""

    def __init__(self, shape: TextShape, rows: int, length: int, like: Tensor) -> None:
        size = (rows, shape.heads, length, shape.width // shape.heads)
        self.layers = [(like.new_zeros(size), like.new_zeros(size)) for _ in range(shape.depth)]
        self.length = 0

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write (N, H, L, D) behind what is there and return all keys and values so far."""
        keys, values = self.layers[layer]
        end = self.length + key.shape[2]
        keys[:, :, self.length : end] = key
        values[:, :, self.length : end] = value
        return keys[:, :, :end], values[:, :, :end]

    def reorder(self, rows: Tensor) -> None:
        """Make row n continue what was row `rows[n]`, int64 (N,)."""
        used = self.length
        for keys, values in self.layers:
            keys[:, :, :used] = keys[rows, :, :used]
            values[:, :, :used] = values[rows, :, :used]


class SelfAttention(nn.Module):
    """Attention over the sequence itself, residual and norm included."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.norm = nn.LayerNorm(shape.width, shape.norm_eps)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return query, key and value of (N, L, W), (N, H, L, D) each."""
        query, key, value = (split_heads(t, self.heads) for t in self.qkv(x).chunk(3, -1))
        return query, key, value

    def project_first(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same with the query of token 0 alone, (N, H, 1, D)."""
        width = x.shape[-1]
        query = F.linear(x[:, :1], self.qkv.weight[:width], self.qkv.bias[:width])
        pair = F.linear(x, self.qkv.weight[width:], self.qkv.bias[width:])
        key, value = (split_heads(t, self.heads) for t in pair.chunk(2, -1))
        return split_heads(query, self.heads), key, value

    def attend(
        self, x: Tensor, qkv: tuple[Tensor, Tensor, Tensor], mask: Tensor | None, *, causal: bool
    ) -> Tensor:
        """Return norm(x + attention), shaped as x; `mask` is bool (N, 1, 1, L), true = visible."""
        rate = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(
            *qkv, attn_mask=mask, dropout_p=rate, is_causal=causal
        )
        return torch.as_tensor(
            self.norm(x + F.dropout(self.out(join_heads(mixed)), rate, self.training))
        )


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
        key: Tensor,
        value: Tensor,
        extra: tuple[Tensor, Tensor, Tensor] | None = None,
        visible: Tensor | None = None,
    ) -> Tensor:
        """Map (N, L, W) to (N, L, W) with N = B * G: G texts in a row belong to each image.

        `extra` is key, value and gate of tokens that are attended to apart from the image's;
        `visible`, bool (B, 1, 1, T), says which of the image's are real.
        """
        rate = self.dropout if self.training else 0.0
        group = len(x) // len(key)
        # Texts of one image stand side by side on the query axis, so its keys are read once.
        query = split_heads(self.query(x).reshape(len(key), group * x.shape[1], -1), self.heads)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=rate)
        if extra is not None:
            heard = F.scaled_dot_product_attention(query, extra[0], extra[1])
            mixed = mixed + torch.tanh(extra[2]) * heard
        mixed = join_heads(mixed).reshape(x.shape)
        return torch.as_tensor(self.norm(x + F.dropout(self.out(mixed), rate, self.training)))


class Mlp(nn.Module):
    """The feed-forward part, residual and norm included."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.dropout = shape.dropout
        self.fc1 = nn.Linear(shape.width, shape.mlp)
        self.fc2 = nn.Linear(shape.mlp, shape.width)
        self.norm = nn.LayerNorm(shape.width, shape.norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, L, W) to (N, L, W)."""
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


class TextStack(nn.Module):
    """Embeddings and layers; what a sequence is read for is said at each call.

    `roles` are those it can be read in; `vision_width` is that of the tokens it looks at.
    """

    def __init__(
        self,
        shape: TextShape,
        vision_width: int,
        vocab_size: int,
        roles: Sequence[Role] = ("encoder", "decoder"),
    ) -> None:
        super().__init__()
        self.shape = shape
        self.words = nn.Embedding(vocab_size, shape.width)
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.norm = nn.LayerNorm(shape.width, shape.norm_eps)
        self.layers = nn.ModuleList(
            TextLayer(shape, vision_width, roles) for _ in range(shape.depth)
        )

    @property
    def stack(self) -> list[TextLayer]:
        """The layers in order."""
        return cast(list[TextLayer], list(self.layers))

    def project_image(self, tokens: Tensor) -> Pairs:
        """Map tokens (B, T, Wv) to the keys and values every layer needs."""
        return tuple(layer.cross.project(tokens) for layer in self.stack)

    def encode(
        self, ids: Tensor, mask: Tensor, keys: ImageKeys | None = None, *, first_only: bool = False
    ) -> Tensor:
        """Read in both directions, with the image when `keys` are given.

        Args:
            ids: int64 (N, L).
            mask: bool (N, L), true on real tokens.
            keys: B images; N = B * G, the texts of one image in a row.
            first_only: return token 0 alone; the last layer then works for one token.

        Returns:
            float (N, L, W), or (N, 1, W).
        """
        x = self._embedded(ids, 0)
        visible = mask[:, None, None, :]
        for number, layer in enumerate(self.stack):
            attention = layer.attention("encoder")
            if first_only and number == self.shape.depth - 1:
                x = attention.attend(x[:, :1], attention.project_first(x), visible, causal=False)
            else:
                x = attention.attend(x, attention.project(x), visible, causal=False)
            if keys is not None:
                x = layer.cross(x, *keys.layers[number])
            x = layer.mlp(x)
        return x

    def decode(self, ids: Tensor, keys: ImageKeys, cache: Cache | None = None) -> Tensor:
        """Read from left to right; padding on the right needs no mask, nothing looks there.

        Args:
            ids: int64 (N, L): the whole sequence, or with a cache only what is new.
            keys: B images; N = B * G, the texts of one image in a row.
            cache: extended in place. With a filled cache L must be 1.

        Returns:
            float (N, L, W).
        """
        x = self._embedded(ids, cache.length if cache else 0)
        for number, layer in enumerate(self.stack):
            attention = layer.attention("decoder")
            query, key, value = attention.project(x)
            if cache is not None:
                key, value = cache.extend(number, key, value)
            x = attention.attend(x, (query, key, value), None, causal=ids.shape[1] > 1)
            x = layer.mlp(layer.cross(x, *keys.layers[number], keys.gated(number), keys.visible))
        if cache is not None:
            cache.length += ids.shape[1]
        return x

    def _embedded(self, ids: Tensor, start: int) -> Tensor:
        end = start + ids.shape[1]
        if end > self.shape.positions:
            raise ValueError(
                f"the text has {end} tokens, this model has {self.shape.positions} positions; "
                "give a smaller max_length"
            )
        x = self.norm(self.words(ids) + self.positions.weight[start:end])
        return F.dropout(x, self.shape.dropout, self.training)
