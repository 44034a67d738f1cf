"""What others call our tensors: transformers' BLIP classes and the original .pth files.

For each of ours a tuple of theirs; where there are several, ours is theirs stacked on the first
dimension. A captioner names the decoder's half of the text stack, a filter the encoder's.
"""

from typing import Literal

from models.presets import Shape
from models.text import Role

Half = Literal["captioner", "filter"]
Names = dict[str, tuple[str, ...]]  # ours -> theirs, in the order in which they are stacked

PREFIXES: dict[Half, str] = {"captioner": "text_decoder.bert.", "filter": "text_encoder."}
ROLES: dict[Half, Role] = {"captioner": "decoder", "filter": "encoder"}


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
        names |= _both(f"{ours}.fc1", f"{theirs}.mlp.fc1") | _both(
            f"{ours}.fc2", f"{theirs}.mlp.fc2"
        )
    return names


def salesforce_vision_names(shape: Shape) -> Names:
    """Name the image encoder as the original code does."""
    names: Names = {
        "vision.class_token": ("visual_encoder.cls_token",),
        "vision.positions": ("visual_encoder.pos_embed",),
        **_both("vision.patch", "visual_encoder.patch_embed.proj"),
        **_both("vision.norm", "visual_encoder.norm"),
    }
    for n in range(shape.vision.depth):
        ours, theirs = f"vision.blocks.{n}", f"visual_encoder.blocks.{n}"
        names |= _both(f"{ours}.qkv", f"{theirs}.attn.qkv")
        names |= _both(f"{ours}.out", f"{theirs}.attn.proj")
        names |= _both(f"{ours}.norm1", f"{theirs}.norm1") | _both(
            f"{ours}.norm2", f"{theirs}.norm2"
        )
        names |= _both(f"{ours}.fc1", f"{theirs}.mlp.fc1") | _both(
            f"{ours}.fc2", f"{theirs}.mlp.fc2"
        )
    return names


def text_names(shape: Shape, half: Half) -> Names:
    """Name one half of the text stack; both layouts agree."""
    prefix, role = PREFIXES[half], ROLES[half]
    names: Names = {
        "text.words.weight": (f"{prefix}embeddings.word_embeddings.weight",),
        "text.positions.weight": (f"{prefix}embeddings.position_embeddings.weight",),
        **_both("text.norm", f"{prefix}embeddings.LayerNorm"),
    }
    for n in range(shape.text.depth):
        ours, theirs = f"text.layers.{n}", f"{prefix}encoder.layer.{n}"
        own, across = f"{theirs}.attention", f"{theirs}.crossattention"
        attention = f"{ours}.self_attention.{role}"
        query, key, value = (f"{own}.self.{part}" for part in ("query", "key", "value"))
        names |= _both(f"{attention}.qkv", query, key, value)
        names |= _both(f"{attention}.out", f"{own}.output.dense")
        names |= _both(f"{attention}.norm", f"{own}.output.LayerNorm")
        names |= _both(f"{ours}.cross.query", f"{across}.self.query")
        names |= _both(f"{ours}.cross.key_value", f"{across}.self.key", f"{across}.self.value")
        names |= _both(f"{ours}.cross.out", f"{across}.output.dense")
        names |= _both(f"{ours}.cross.norm", f"{across}.output.LayerNorm")
        names |= _both(f"{ours}.mlp.fc1", f"{theirs}.intermediate.dense")
        names |= _both(f"{ours}.mlp.fc2", f"{theirs}.output.dense")
        names |= _both(f"{ours}.mlp.norm", f"{theirs}.output.LayerNorm")
    return names


def head_names(half: Half) -> Names:
    """Name the heads that one half has; both layouts agree."""
    if half == "filter":
        return {
            **_both("vision_projection", "vision_proj"),
            **_both("text_projection", "text_proj"),
            **_both("match_head", "itm_head"),
        }
    prefix = "text_decoder.cls.predictions"
    return {
        **_both("language.dense", f"{prefix}.transform.dense"),
        **_both("language.norm", f"{prefix}.transform.LayerNorm"),
        "language.bias": (f"{prefix}.bias",),
    }


def is_head(ours: str) -> bool:
    """Say whether one of our tensors belongs to a head, which a checkpoint may lack."""
    return ours.startswith(("vision_projection", "text_projection", "match_head", "language"))


def _both(ours: str, *theirs: str) -> Names:
    """Name the weight and the bias of one module."""
    return {f"{ours}.{p}": tuple(f"{t}.{p}" for t in theirs) for p in ("weight", "bias")}
