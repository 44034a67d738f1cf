"""What others call our tensors: transformers' BLIP classes and the original .pth files.

For each of ours a tuple of theirs; where there are several, ours is theirs stacked on the first
dimension. A captioner names the decoder's half of the text stack, a filter the encoder's; an
answerer has a stack of its own for each.
"""

from collections.abc import Collection, Mapping
from typing import Literal

import torch
from torch import Tensor

from models.presets import Shape
from models.text_layers import Role

Half = Literal["captioner", "filter"]
Kind = Literal["captioner", "filter", "answerer"]
Names = dict[str, tuple[str, ...]]  # ours -> theirs, in the order in which they are stacked

PREFIXES: dict[Half, str] = {"captioner": "text_decoder.bert.", "filter": "text_encoder."}
# Where a tensor lies that would change what a model does; momentum copies and queues lie elsewhere.
PARTS = ("vision_model.", "visual_encoder.", "text_encoder.", "text_decoder.")
NO_WEIGHTS = ("position_ids", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
ROLES: dict[Half, Role] = {"captioner": "decoder", "filter": "encoder"}


def gathered(state: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    """Return our tensors made of theirs.

    Raises:
        ValueError: some of theirs are missing; says how many and names one.
    """
    missing = sorted({name for theirs in names.values() for name in theirs} - set(state))
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, the first is {missing[0]}")
    return {
        name: torch.cat([state[t] for t in theirs]) if len(theirs) > 1 else state[theirs[0]]
        for name, theirs in names.items()
    }


def refuse_odd(missing: Collection[str], left: Collection[str]) -> None:
    """Refuse a state that has not what its model needs, or more: it is of another architecture.

    Args:
        missing: names it has no tensor for.
        left: names of tensors that no part of the model takes.

    Raises:
        ValueError: names the first of them.
    """
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, the first is {min(missing)}")
    parts = [name for name in left if name.startswith(PARTS) and not name.endswith(NO_WEIGHTS)]
    if parts:
        raise ValueError(
            f"{len(parts)} tensors have no place in a BLIP of this shape, the first is {min(parts)}"
        )


def scattered(state: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    """Return their tensors made of ours; each has memory of its own."""
    return {
        part: tensor.clone()
        for name, parts in names.items()
        for part, tensor in zip(parts, state[name].chunk(len(parts)), strict=True)
    }


def vision_names(shape: Shape) -> Names:
    """Name the image encoder as transformers does."""
    names: Names = {
        "vision.class_token": ("vision_model.embeddings.class_embedding",),
        "vision.positions": ("vision_model.embeddings.position_embedding",),
        **_both("vision.patch", "vision_model.embeddings.patch_embedding"),
        **_both("vision.norm", "vision_model.post_layernorm"),
    }
    for n in range(shape.vision.depth):
        ours, theirs = f"vision.blocks.{n}", f"vision_model.encoder.layers.{n}"
        names |= _both(f"{ours}.qkv", f"{theirs}.self_attn.qkv")
        names |= _both(f"{ours}.out", f"{theirs}.self_attn.projection")
        names |= _both(f"{ours}.norm1", f"{theirs}.layer_norm1")
        names |= _both(f"{ours}.norm2", f"{theirs}.layer_norm2")
        names |= _both(f"{ours}.fc1", f"{theirs}.mlp.fc1")
        names |= _both(f"{ours}.fc2", f"{theirs}.mlp.fc2")
    return names


def timm_names(depth: int, prefix: str = "") -> Names:
    """Name the image encoder as timm does, and the original code under `visual_encoder.`."""
    names: Names = {
        "vision.class_token": (f"{prefix}cls_token",),
        "vision.positions": (f"{prefix}pos_embed",),
        **_both("vision.patch", f"{prefix}patch_embed.proj"),
        **_both("vision.norm", f"{prefix}norm"),
    }
    for n in range(depth):
        ours, theirs = f"vision.blocks.{n}", f"{prefix}blocks.{n}"
        names |= _both(f"{ours}.qkv", f"{theirs}.attn.qkv")
        names |= _both(f"{ours}.out", f"{theirs}.attn.proj")
        for part in ("norm1", "norm2"):
            names |= _both(f"{ours}.{part}", f"{theirs}.{part}")
        for part in ("fc1", "fc2"):
            names |= _both(f"{ours}.{part}", f"{theirs}.mlp.{part}")
    return names


def vit_names(depth: int, prefix: str = "") -> Names:
    """Name the image encoder as files of transformers' ViT and DeiT do."""
    embeddings = f"{prefix}embeddings"
    names: Names = {
        "vision.class_token": (f"{embeddings}.cls_token",),
        "vision.positions": (f"{embeddings}.position_embeddings",),
        **_both("vision.patch", f"{embeddings}.patch_embeddings.projection"),
        **_both("vision.norm", f"{prefix}layernorm"),
    }
    for n in range(depth):
        ours, theirs = f"vision.blocks.{n}", f"{prefix}encoder.layer.{n}"
        own = f"{theirs}.attention.attention"
        names |= _both(f"{ours}.qkv", *(f"{own}.{part}" for part in ("query", "key", "value")))
        names |= _both(f"{ours}.out", f"{theirs}.attention.output.dense")
        names |= _both(f"{ours}.norm1", f"{theirs}.layernorm_before")
        names |= _both(f"{ours}.norm2", f"{theirs}.layernorm_after")
        names |= _both(f"{ours}.fc1", f"{theirs}.intermediate.dense")
        names |= _both(f"{ours}.fc2", f"{theirs}.output.dense")
    return names


def text_names(shape: Shape, kind: Kind) -> Names:
    """Name what a kind of model has of text, its heads included; both layouts agree."""
    depth = shape.text.depth
    if kind == "answerer":
        return {
            **_stack_names(depth, "question", "filter"),
            **_stack_names(depth, "text", "captioner"),
            **head_names("captioner"),
        }
    return {**_stack_names(depth, "text", kind), **head_names(kind)}


def _stack_names(depth: int, stack: str, half: Half) -> Names:
    prefix, role = PREFIXES[half], ROLES[half]
    names: Names = {
        f"{stack}.words.weight": (f"{prefix}embeddings.word_embeddings.weight",),
        f"{stack}.positions.weight": (f"{prefix}embeddings.position_embeddings.weight",),
        **_both(f"{stack}.norm", f"{prefix}embeddings.LayerNorm"),
    }
    for n in range(depth):
        ours, theirs = f"{stack}.layers.{n}", f"{prefix}encoder.layer.{n}"
        across = f"{theirs}.crossattention"
        names |= bert_layer_names(ours, theirs, role)
        names |= _both(f"{ours}.cross.query", f"{across}.self.query")
        names |= _both(f"{ours}.cross.key_value", f"{across}.self.key", f"{across}.self.value")
        names |= _both(f"{ours}.cross.out", f"{across}.output.dense")
        names |= _both(f"{ours}.cross.norm", f"{across}.output.LayerNorm")
    return names


def bert_layer_names(ours: str, theirs: str, role: Role) -> Names:
    """Name what a layer has in common with BERT's, for one role's self-attention."""
    own, attention = f"{theirs}.attention", f"{ours}.self_attention.{role}"
    query, key, value = (f"{own}.self.{part}" for part in ("query", "key", "value"))
    return {
        **_both(f"{attention}.qkv", query, key, value),
        **_both(f"{attention}.out", f"{own}.output.dense"),
        **_both(f"{attention}.norm", f"{own}.output.LayerNorm"),
        **_both(f"{ours}.mlp.fc1", f"{theirs}.intermediate.dense"),
        **_both(f"{ours}.mlp.fc2", f"{theirs}.output.dense"),
        **_both(f"{ours}.mlp.norm", f"{theirs}.output.LayerNorm"),
    }


def head_names(half: Half) -> Names:
    """Name the heads that one half has; both layouts agree."""
    if half == "filter":
        return {
            **_both("vision_projection", "vision_proj"),
            **_both("text_projection", "text_proj"),
            **_both("match_head", "itm_head"),
        }
    return language_names("text_decoder.cls.predictions")


def language_names(prefix: str) -> Names:
    """Name the head that predicts words, as BERT's for masked words."""
    return {
        **_both("language.dense", f"{prefix}.transform.dense"),
        **_both("language.norm", f"{prefix}.transform.LayerNorm"),
        "language.bias": (f"{prefix}.bias",),
    }


def _both(ours: str, *theirs: str) -> Names:
    """Name the weight and the bias of one module."""
    return {f"{ours}.{p}": tuple(f"{t}.{p}" for t in theirs) for p in ("weight", "bias")}
