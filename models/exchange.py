"""Weights to and from transformers' three BLIP classes, by one table of names, `models.layouts`.

Import concatenates what is fused here and export splits it; no number changes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipForQuestionAnswering,
)
from transformers.utils import logging as hf_logging

from models.answering import Answerer
from models.blip import INITIAL_TEMPERATURE, Blip
from models.layouts import (
    ROLES,
    Half,
    Kind,
    Names,
    gathered,
    refuse_odd,
    scattered,
    text_names,
    vision_names,
)
from models.presets import Shape, TextShape, VisionShape, usual_drop_path
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

CLASSES: dict[Kind, Any] = {
    "captioner": BlipForConditionalGeneration,
    "filter": BlipForImageTextRetrieval,
    "answerer": BlipForQuestionAnswering,
}


@dataclass(frozen=True, slots=True)
class Imported:
    """A model from elsewhere, and which halves of it came with weights.

    The other half shares most of them; its own self-attention was copied from the half that came,
    its heads are as drawn, so it must be trained before it is of use.
    """

    model: Blip
    halves: tuple[Half, ...]


def kind_of_folder(path: str) -> Kind:
    """Return which of transformers' BLIP classes a local folder or hub id holds.

    Raises:
        ValueError: its config names another architecture.
        OSError: it has no config.
    """
    named = BlipConfig.from_pretrained(path).architectures or ()
    for kind, cls in CLASSES.items():
        if cls.__name__ in named:
            return kind
    known = ", ".join(cls.__name__ for cls in CLASSES.values())
    raise ValueError(f"{path} holds {', '.join(named) or 'no class'}; Caplift reads {known}")


def load_transformers(path: str) -> Imported:
    """Load a captioner or a filter from a local folder or a hub id in transformers' format.

    Raises:
        ValueError: its config names another architecture.
    """
    kind = kind_of_folder(path)
    if kind == "answerer":
        raise ValueError(f"{path} answers questions; it is no captioner and no filter")
    return from_transformers(_loaded(kind, path))


def load_answerer(path: str) -> Answerer:
    """Load a model that answers questions; as `load_transformers`."""
    if kind_of_folder(path) != "answerer":
        raise ValueError(f"{path} answers no questions; BlipForQuestionAnswering does")
    return answerer_from_transformers(_loaded("answerer", path))


def _loaded(kind: Kind, path: str) -> Any:
    """Load one of transformers' classes; what its files lack would be drawn at random there.

    Raises:
        ValueError: tensors are missing, of another shape than the config says, or have no place.
    """
    shown = hf_logging.get_verbosity()
    hf_logging.set_verbosity_error()  # its report of many lines becomes one of ours
    try:
        theirs, said = CLASSES[kind].from_pretrained(
            path, output_loading_info=True, ignore_mismatched_sizes=True
        )
    finally:
        hf_logging.set_verbosity(shown)
    for name, there, wanted in sorted(said["mismatched_keys"]):
        raise ValueError(
            f"{name} is {tuple(there)} in the file and {tuple(wanted)} by its config, "
            f"as are {len(said['mismatched_keys'])} tensors in all"
        )
    refuse_odd(said["missing_keys"], said["unexpected_keys"])
    return theirs


def from_transformers(theirs: Any) -> Imported:
    """Build a model from a `BlipForConditionalGeneration` or `BlipForImageTextRetrieval`.

    The temperature, which those classes have no place for, is read off the config's logit scale.
    """
    half: Half = "captioner" if hasattr(theirs, "text_decoder") else "filter"
    shape = shape_of_hf(theirs.config)
    model = Blip(shape, theirs.config.text_config.vocab_size)
    fill(model, theirs.state_dict(), {**vision_names(shape), **text_names(shape, half)})
    model.temperature.data.fill_(math.exp(-theirs.config.logit_scale_init_value))
    copy_self_attention(model, half)
    return Imported(model, (half,))


def answerer_from_transformers(theirs: Any) -> Answerer:
    """Build a model that answers from a `BlipForQuestionAnswering`.

    Raises:
        ValueError: image and text differ in width, where that class itself cannot run.
    """
    shape = shape_of_hf(theirs.config)
    _check_one_width(shape)
    model = Answerer(shape, theirs.config.text_config.vocab_size)
    names = {**vision_names(shape), **text_names(shape, "answerer")}
    model.load_state_dict(gathered(theirs.state_dict(), names))
    return model


def shape_of_hf(config: Any) -> Shape:
    """Return the shape of a transformers `BlipConfig`.

    Raises:
        ValueError: its activation is not the exact GELU that every BLIP has.
    """
    vision, text = config.vision_config, config.text_config
    for half in (vision, text):
        if half.hidden_act != "gelu":
            raise ValueError(f"hidden_act is gelu in BLIP, this config says {half.hidden_act!r}")
    return Shape(
        vision=VisionShape(
            **{ours: getattr(vision, theirs) for ours, theirs in VISION.items()},
            drop_path=usual_drop_path(vision.num_hidden_layers, vision.hidden_size),
        ),
        text=TextShape(**{ours: getattr(text, theirs) for ours, theirs in TEXT.items()}),
        embedding=config.image_text_hidden_size,
    )


def to_captioner(model: Blip, tokenizer: Tokenizer) -> Any:
    """Return a `BlipForConditionalGeneration` with the decoder's weights, in eval mode.

    Raises:
        ValueError: the image encoder has no counterpart there, or the decoder hears an RBM.
    """
    refuse_rbm(model)
    return _exported(model, tokenizer, "captioner")


def to_filter(model: Blip, tokenizer: Tokenizer) -> Any:
    """Return a `BlipForImageTextRetrieval` with the encoder's weights, in eval mode.

    transformers' class and processor put [CLS] before a text to be matched where this model was
    trained with [ENC]: replace the first id with `tokenizer.enc` or its scores will differ.

    Raises:
        ValueError: the image encoder has no counterpart there.
    """
    return _exported(model, tokenizer, "filter")


def to_answerer(model: Answerer, tokenizer: Tokenizer) -> Any:
    """Return a `BlipForQuestionAnswering`, in eval mode.

    Its processor puts [CLS] before a question: replace that by `tokenizer.enc`. And its answers
    hear the padding of their questions: ask one at a time, or questions of one length.

    Raises:
        ValueError: the image encoder has no counterpart there, or it is not as wide as the text.
    """
    _check_one_width(model.shape)
    return _exported(model, tokenizer, "answerer")


def refuse_rbm(model: Blip | Answerer) -> None:
    """Refuse a model whose decoder hears an RBM: nobody else has a place for that.

    Raises:
        ValueError: it does.
    """
    if isinstance(model, Blip) and model.rbm_tokens is not None:
        raise ValueError(
            "this captioner's decoder reads tokens of an RBM, which transformers' BLIP has no "
            "place for; export the model it was finetuned from"
        )


def refuse_other_eyes(vision: VisionShape) -> None:
    """Refuse an image encoder that is no plain ViT.

    Raises:
        ValueError: says what it is.
    """
    if vision.kind != "vit" or vision.stem != "patch":
        raise ValueError(
            "transformers' BLIP and the original have a plain patch embedding only; a model with "
            f"vision.kind={vision.kind}, vision.stem={vision.stem} cannot be written as one "
            "(the presets small, base and large can)"
        )


def fill(model: Blip, state: Mapping[str, Tensor], names: Names) -> None:
    """Load the tensors named; the others stay as they are."""
    _, unexpected = model.load_state_dict(gathered(state, names), strict=False)
    assert not unexpected, unexpected


def copy_self_attention(model: Blip, half: Half) -> None:
    """Let the half that did not come start with the self-attention of the one that did."""
    other: Half = "filter" if half == "captioner" else "captioner"
    for layer in model.text.stack:
        source = layer.attention(ROLES[half])
        layer.attention(ROLES[other]).load_state_dict(source.state_dict())


def both_named(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the head's tied tensors under the second name that both layouts give them."""
    return {
        "text_decoder.cls.predictions.decoder.weight": ours["text.words.weight"].clone(),
        "text_decoder.cls.predictions.decoder.bias": ours["language.bias"].clone(),
    }


def _exported(model: Blip | Answerer, tokenizer: Tokenizer, kind: Kind) -> Any:
    theirs: nn.Module = CLASSES[kind](_config_of(model, tokenizer))
    ours = model.state_dict()
    state = scattered(ours, {**vision_names(model.shape), **text_names(model.shape, kind)})
    theirs.load_state_dict(state if kind == "filter" else {**state, **both_named(ours)})
    return theirs.eval()


def _check_one_width(shape: Shape) -> None:
    if shape.vision.width != shape.text.width:
        raise ValueError(
            f"BlipForQuestionAnswering runs only where image and text are equally wide; this model "
            f"has {shape.vision.width} and {shape.text.width}. The original .pth layout has a "
            "place for it"
        )


def _config_of(model: Blip | Answerer, tokenizer: Tokenizer) -> Any:
    vision, text = model.shape.vision, model.shape.text
    refuse_other_eyes(vision)
    temperature = model.temperature.item() if isinstance(model, Blip) else INITIAL_TEMPERATURE
    return BlipConfig(
        vision_config={
            **{theirs: getattr(vision, ours) for ours, theirs in VISION.items()},
            # Their default of 1e-10 makes whoever starts afresh from this config blind.
            "initializer_range": model.shape.init_std,
        },
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
        logit_scale_init_value=-math.log(temperature),
    )
