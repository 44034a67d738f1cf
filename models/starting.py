"""A fresh model's first weights from an image encoder or a BERT that was trained elsewhere.

BLIP starts from a ViT trained on ImageNet and from BERT (Li et al. 2022, section 4.1). What a state
holds is told from the names of its tensors: timm's ViT, transformers' ViT and DeiT, and BERT, with
or without the head that predicts masked words. Cross-attention, projections and the two role tokens
keep their random start.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from models.blip import Blip
from models.layouts import (
    Names,
    bert_layer_names,
    gathered,
    language_names,
    timm_names,
    vit_names,
)
from models.vision import ViT

Part = Literal["image", "text"]

_PREFIXES = ("bert.", "vit.", "deit.")
_TIMM, _VIT, _BERT = "pos_embed", "embeddings.cls_token", "embeddings.word_embeddings.weight"
_LANGUAGE = "cls.predictions"


def part_of(state: Mapping[str, Tensor]) -> Part:
    """Tell which part of a model a state can start.

    Raises:
        ValueError: it is neither a ViT nor a BERT.
    """
    names = plain(state)
    if _BERT in names:
        return "text"
    if _TIMM in names or _VIT in names:
        return "image"
    some = ", ".join(list(state)[:3]) or "nothing"
    raise ValueError(
        f"it holds neither a ViT (of timm or transformers) nor a BERT; its tensors begin {some}"
    )


def plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Strip the prefix of a model with a head, and spell norms as they are spelt today."""
    spelt = {}
    for name, tensor in state.items():
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        # TensorFlow's words, still in the published files of BERT.
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight")
        spelt[name.replace("LayerNorm.beta", "LayerNorm.bias")] = tensor
    return spelt


def start_image(model: Blip, state: Mapping[str, Tensor]) -> None:
    """Copy a ViT's weights; positions of another resolution are fitted.

    Raises:
        ValueError: the model's image encoder is of another kind or size, or the ViT has parts that
            this one lacks (a layer scale, a distillation token, a norm before the first block).
    """
    if not isinstance(model.vision, ViT) or model.shape.vision.stem != "patch":
        raise ValueError(
            "a ViT can start an image encoder with a plain patch embedding: the presets small, "
            "base and large have one"
        )
    theirs = plain(state)
    depth = model.shape.vision.depth
    is_timm = _TIMM in theirs
    names = timm_names(depth) if is_timm else vit_names(depth)
    used = {name for several in names.values() for name in several}
    blocks = ("blocks.", "norm_pre.") if is_timm else ("encoder.layer.",)
    tokens = ("dist_token", "embeddings.distillation_token", "reg_token")
    odd = sorted(n for n in theirs.keys() - used if n.startswith(blocks + tokens))
    if odd:
        raise ValueError(
            f"{odd[0]} has no place in this model's image encoder of {depth} blocks; choose a "
            "plain ViT of its depth"
        )
    _load(model, gathered(theirs, names))


def start_text(model: Blip, state: Mapping[str, Tensor]) -> None:
    """Copy BERT's embeddings, layers and, when it came, the head for words.

    Both self-attentions of a layer start as its one. BLIP has no token types, so the embedding of
    type 0, which BERT adds everywhere, goes into the positions.

    Raises:
        ValueError: the vocabulary is not BERT's with the two role tokens behind it, or a size
            differs.
    """
    theirs = plain(state)
    words = theirs[_BERT]
    if model.vocab_size != len(words) + 2:
        raise ValueError(
            f"its words are {len(words)} and this model has {model.vocab_size}: its vocabulary "
            "must be these words with [DEC] and [ENC] behind them"
        )
    depth = 1 + max(int(n.split(".")[2]) for n in theirs if n.startswith("encoder.layer."))
    if depth != model.shape.text.depth:
        raise ValueError(f"it has {depth} layers, this model's text {model.shape.text.depth}")
    names: Names = {"text.norm.weight": ("embeddings.LayerNorm.weight",)}
    names["text.norm.bias"] = ("embeddings.LayerNorm.bias",)
    for n in range(depth):
        for role in ("encoder", "decoder"):
            names |= bert_layer_names(f"text.layers.{n}", f"encoder.layer.{n}", role)
    has_head = f"{_LANGUAGE}.bias" in theirs
    if has_head:
        names |= language_names(_LANGUAGE)
    ours = gathered(theirs, names)
    ours["text.words.weight"] = torch.cat([words, model.text.words.weight.data[-2:]])
    types = theirs["embeddings.token_type_embeddings.weight"]
    ours["text.positions.weight"] = theirs["embeddings.position_embeddings.weight"] + types[0]
    if has_head:
        ours["language.bias"] = torch.cat([ours["language.bias"], model.language.bias.data[-2:]])
    _load(model, ours)


def _load(model: Blip, ours: dict[str, Tensor]) -> None:
    here = model.state_dict()
    for name, tensor in ours.items():
        if name != "vision.positions" and tensor.shape != here[name].shape:
            raise ValueError(
                f"{name} is {tuple(tensor.shape)} there and {tuple(here[name].shape)} in this "
                "model; choose the preset of its size"
            )
    model.load_state_dict(ours, strict=False)
