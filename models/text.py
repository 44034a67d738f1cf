"""The text stack: one set of layers read in three roles.

N sequences, L tokens, W width, H heads, D = W / H; B images of T tokens.
BERT's post-norm blocks (Devlin et al. 2019) with cross-attention between self-attention and MLP
(Li et al. 2022, section 3.1). Encoder and decoder share everything but self-attention: each layer
owns two of those and one of the rest, so sharing needs no tying.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.packing import UNPADDED, Packing
from models.presets import TextShape
from models.text_layers import Role, TextLayer

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
            float (N, L, W), zero on padding; or (N, 1, W).
        """
        packing, visible = Packing(mask), mask[:, None, None, :]
        x = self._embedded(ids, 0, packing)
        for number, layer in enumerate(self.stack):
            attention = layer.attention("encoder")
            if first_only and number == self.shape.depth - 1:
                seen = attention.project_first(x, packing)
                x, packing = packing.firsts(x), UNPADDED
            else:
                seen = attention.project(x, packing)
            x = attention.attend(x, seen, visible, packing, causal=False)
            if keys is not None:
                x = layer.cross(x, keys.layers[number], packing)
            x = layer.mlp(x)
        return packing.padded(x)

    def decode(
        self,
        ids: Tensor,
        keys: ImageKeys,
        cache: Cache | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """Read from left to right; padding on the right needs no mask, nothing looks there.

        Args:
            ids: int64 (N, L): the whole sequence, or with a cache only what is new.
            keys: B images; N = B * G, the texts of one image in a row.
            cache: extended in place. With a filled cache L must be 1.
            wanted: bool (N, L), true where a result is used, for less work; without a cache.

        Returns:
            float (N, L, W), zero behind the last wanted place.
        """
        packing = UNPADDED if wanted is None else Packing.up_to_last(wanted)
        x = self._embedded(ids, cache.length if cache else 0, packing)
        for number, layer in enumerate(self.stack):
            attention = layer.attention("decoder")
            query, key, value = attention.project(x, packing)
            if cache is not None:
                key, value = cache.extend(number, key, value)
            seen = (query, key, value)
            x = attention.attend(x, seen, None, packing, causal=ids.shape[1] > 1)
            gated = keys.gated(number)
            x = layer.mlp(layer.cross(x, keys.layers[number], packing, gated, keys.visible))
        if cache is not None:
            cache.length += ids.shape[1]
        return packing.padded(x)

    def _embedded(self, ids: Tensor, start: int, packing: Packing) -> Tensor:
        end = start + ids.shape[1]
        if end > self.shape.positions:
            raise ValueError(
                f"the text has {end} tokens, this model has {self.shape.positions} positions; "
                "give a smaller max_length"
            )
        x = packing.packed(self.words(ids) + self.positions.weight[start:end])
        return F.dropout(self.norm(x), self.shape.dropout, self.training)
