"""Weights to and from others: transformers' two BLIP classes and the original .pth files.

Import concatenates and export splits by one table of names, `models.layouts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BlipConfig, BlipForConditionalGeneration, BlipForImageTextRetrieval

from models.blip import Blip
from models.layouts import (
    PREFIXES,
    ROLES,
    Half,
    Names,
    head_names,
    is_head,
    salesforce_vision_names,
    text_names,
    vision_names,
)
from models.presets import Shape, TextShape, VisionShape
from models.tokenization import Tokenizer

# Ours -> transformers', for a shape and its half of a `BlipConfig`.
STACK = {
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "heads": "num_attention_heads",
    "mlp": "intermediate_size",
    "norm_eps": "layer_norm_eps",
}
VISION = {**STACK, "image_size": "image_size", "patch": "patch_size"}
TEXT = {**STACK, "positions": "max_position_embeddings", "dropout": "hidden_dropout_prob"}


@dataclass(frozen=True, slots=True)
class Imported:
    """A model from elsewhere, and which halves of it came with weights.

    The other half shares most of them; its own self-attention was copied from the half that came,
    its heads are as drawn, so it must be trained before it is of use.
    """

    model: Blip
    halves: tuple[Half, ...]


def shape_of_hf(config: Any) -> Shape:
    """Return the shape of a transformers `BlipConfig`."""
    vision, text = config.vision_config, config.text_config
    return Shape(
        vision=VisionShape(**{ours: getattr(vision, theirs) for ours, theirs in VISION.items()}),
        text=TextShape(**{ours: getattr(text, theirs) for ours, theirs in TEXT.items()}),
        embedding=config.image_text_hidden_size,
    )


def from_transformers(theirs: Any) -> Imported:
    """Build a model from a `BlipForConditionalGeneration` or `BlipForImageTextRetrieval`."""
    half: Half = "captioner" if hasattr(theirs, "text_decoder") else "filter"
    shape = shape_of_hf(theirs.config)
    names = {**vision_names(shape), **text_names(shape, half), **head_names(half)}
    model = Blip(shape, theirs.config.text_config.vocab_size)
    _fill(model, theirs.state_dict(), names)
    _copy_self_attention(model, half)
    return Imported(model, (half,))


def load_transformers(path: str) -> Imported:
    """Load a local folder or a hub id in transformers' format.

    Raises:
        ValueError: its config names another architecture.
    """
    config = BlipConfig.from_pretrained(path)
    classes = {
        "BlipForConditionalGeneration": BlipForConditionalGeneration,
        "BlipForImageTextRetrieval": BlipForImageTextRetrieval,
    }
    named = [name for name in config.architectures or () if name in classes]
    if not named:
        raise ValueError(
            f"{path} holds {config.architectures}; Caplift reads {' and '.join(classes)}"
        )
    return from_transformers(classes[named[0]].from_pretrained(path))


def to_captioner(model: Blip, tokenizer: Tokenizer) -> Any:
    """Return a `BlipForConditionalGeneration` with the decoder's weights, in eval mode.

    Raises:
        ValueError: the image encoder has no counterpart there, or the decoder hears an RBM.
    """
    if model.rbm_tokens is not None:
        raise ValueError(
            "this captioner's decoder reads tokens of an RBM, which transformers' BLIP has no "
            "place for; export the model it was finetuned from"
        )
    theirs = BlipForConditionalGeneration(_config_of(model, tokenizer))
    return _filled(theirs, model, "captioner")


def to_filter(model: Blip, tokenizer: Tokenizer) -> Any:
    """Return a `BlipForImageTextRetrieval` with the encoder's weights, in eval mode.

    transformers' class and processor put [CLS] before a text to be matched where this model was
    trained with [ENC]: replace the first id with `tokenizer.enc` or its scores will differ.

    Raises:
        ValueError: the image encoder has no counterpart there.
    """
    theirs = BlipForImageTextRetrieval(_config_of(model, tokenizer))
    return _filled(theirs, model, "filter")


def from_salesforce(state: Mapping[str, Tensor], shape: Shape | None = None) -> Imported:
    """Build a model from an original checkpoint, the dictionary under its key "model".

    Momentum copies and queues are left out. Without a shape it is read off the tensors, with heads
    of 64 as in every released file.

    Raises:
        ValueError: the file has neither text half.
    """
    halves: tuple[Half, ...] = tuple(
        half
        for half, prefix in PREFIXES.items()
        if f"{prefix}embeddings.word_embeddings.weight" in state
    )
    if not halves:
        raise ValueError(
            "no text_decoder or text_encoder in this state; a BLIP .pth keeps them under 'model'"
        )
    words = state[f"{PREFIXES[halves[0]]}embeddings.word_embeddings.weight"]
    model = Blip(shape or _shape_of_salesforce(state, halves[0]), len(words))
    names = salesforce_vision_names(model.shape)
    for half in reversed(halves):  # what both have is the decoder's, as in the original's tying
        names |= {**text_names(model.shape, half), **head_names(half)}
    names = {o: t for o, t in names.items() if all(n in state for n in t) or not is_head(o)}
    if "temp" in state:
        names["temperature"] = ("temp",)
    _fill(model, state, names)
    if len(halves) == 1:
        _copy_self_attention(model, halves[0])
    return Imported(model, halves)


def _fill(model: Blip, state: Mapping[str, Tensor], names: Names) -> None:
    missing = sorted({name for theirs in names.values() for name in theirs} - set(state))
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, the first is {missing[0]}")
    ours = {
        name: torch.cat([state[t] for t in theirs]) if len(theirs) > 1 else state[theirs[0]]
        for name, theirs in names.items()
    }
    _, unexpected = model.load_state_dict(ours, strict=False)
    assert not unexpected, unexpected


def _filled(theirs: nn.Module, model: Blip, half: Half) -> nn.Module:
    shape = model.shape
    names = {**vision_names(shape), **text_names(shape, half), **head_names(half)}
    ours = model.state_dict()
    state = {}
    for name, parts in names.items():
        for part, tensor in zip(parts, ours[name].chunk(len(parts)), strict=True):
            state[part] = tensor.clone()
    if half == "captioner":  # tied there; named twice in the state
        state["text_decoder.cls.predictions.decoder.weight"] = ours["text.words.weight"].clone()
        state["text_decoder.cls.predictions.decoder.bias"] = ours["language.bias"].clone()
    theirs.load_state_dict(state)
    return theirs.eval()


def _copy_self_attention(model: Blip, half: Half) -> None:
    other: Half = "filter" if half == "captioner" else "captioner"
    for layer in model.text.stack:
        source = layer.attention(ROLES[half])
        layer.attention(ROLES[other]).load_state_dict(source.state_dict())


def _config_of(model: Blip, tokenizer: Tokenizer) -> Any:
    vision, text = model.shape.vision, model.shape.text
    if vision.kind != "vit" or vision.stem != "patch":
        raise ValueError(
            "transformers' BLIP has a plain patch embedding only; a model with "
            f"vision.kind={vision.kind}, vision.stem={vision.stem} cannot be written as one "
            "(the presets small, base and large can)"
        )
    return BlipConfig(
        vision_config={theirs: getattr(vision, ours) for ours, theirs in VISION.items()},
        text_config={
            **{theirs: getattr(text, ours) for ours, theirs in TEXT.items()},
            "vocab_size": model.vocab_size,
            "attention_probs_dropout_prob": text.dropout,
            "bos_token_id": tokenizer.dec,
            "eos_token_id": tokenizer.sep,
            "sep_token_id": tokenizer.sep,
            "pad_token_id": tokenizer.pad,
        },
        image_text_hidden_size=model.shape.embedding,
    )


def _shape_of_salesforce(state: Mapping[str, Tensor], half: Half) -> Shape:
    width, _, patch, _ = state["visual_encoder.patch_embed.proj.weight"].shape
    grid = round((state["visual_encoder.pos_embed"].shape[1] - 1) ** 0.5)
    prefix = PREFIXES[half]
    positions, text_width = state[f"{prefix}embeddings.position_embeddings.weight"].shape
    return Shape(
        vision=VisionShape(
            image_size=grid * patch,
            patch=patch,
            width=width,
            depth=_count(state, "visual_encoder.blocks."),
            heads=width // 64,
            mlp=len(state["visual_encoder.blocks.0.mlp.fc1.weight"]),
        ),
        text=TextShape(
            width=text_width,
            depth=_count(state, f"{prefix}encoder.layer."),
            heads=text_width // 64,
            mlp=len(state[f"{prefix}encoder.layer.0.intermediate.dense.weight"]),
            positions=positions,
        ),
        embedding=len(state["vision_proj.weight"]) if "vision_proj.weight" in state else 256,
    )


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})
