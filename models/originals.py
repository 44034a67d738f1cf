"""Weights to and from the original .pth files (github.com/salesforce/BLIP, models/blip*.py).

A file holds a dictionary with the tensors under "model". Pretrained ones have both text halves,
tied but for self-attention; captioning ones the decoder; retrieval ones the encoder; VQA ones both,
untied.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from models.answering import Answerer
from models.blip import Blip
from models.exchange import (
    Imported,
    both_named,
    copy_self_attention,
    fill,
    refuse_other_eyes,
    refuse_rbm,
)
from models.layouts import (
    PREFIXES,
    Half,
    Kind,
    Names,
    gathered,
    refuse_odd,
    scattered,
    text_names,
    timm_names,
)
from models.presets import Shape, TextShape, VisionShape, usual_drop_path

VISION = "visual_encoder."
HEAD_WIDTH = 64  # of one attention head in every released file


def is_vqa(state: Mapping[str, Tensor]) -> bool:
    """Tell whether an original file holds a model that answers: both stacks, and no other head."""
    heads = [name for name in state if name.startswith(("vision_proj.", "text_proj.", "itm_head."))]
    return len(_halves(state)) == len(PREFIXES) and not heads


def from_salesforce(state: Mapping[str, Tensor], shape: Shape | None = None) -> Imported:
    """Build a model from an original checkpoint, the dictionary under its key "model".

    Momentum copies and queues are left out. Without a shape it is read off the tensors, with heads
    of 64 as in every released file.

    Raises:
        ValueError: the file has neither text half, it has both and they do not share weights, or
            it lacks tensors or has some that no BLIP of its shape has.
    """
    halves = _halves(state)
    if not halves:
        raise ValueError(
            "no text_decoder or text_encoder in this state; a BLIP .pth keeps them under 'model'"
        )
    words = state[f"{PREFIXES[halves[0]]}embeddings.word_embeddings.weight"]
    model = Blip(shape or _shape_of(state, halves[0]), len(words))
    names = timm_names(model.shape.vision.depth, VISION)
    used = dict(names)
    for half in reversed(halves):
        names |= text_names(model.shape, half)
        used |= {f"{half} {ours}": theirs for ours, theirs in text_names(model.shape, half).items()}
    _refuse_odd(state, used)
    if "temp" in state:
        names["temperature"] = ("temp",)
    fill(model, state, names)
    if len(halves) > 1:
        _check_tied(state, model.shape)
    if len(halves) == 1:
        copy_self_attention(model, halves[0])
    return Imported(model, halves)


def answerer_from_salesforce(state: Mapping[str, Tensor], shape: Shape | None = None) -> Answerer:
    """Build a model that answers from an original VQA checkpoint; as `from_salesforce`.

    Raises:
        ValueError: tensors are missing, so it is no VQA checkpoint.
    """
    if not is_vqa(state):
        raise ValueError("this .pth is no VQA model: one has text_encoder and text_decoder alone")
    words = state[f"{PREFIXES['captioner']}embeddings.word_embeddings.weight"]
    model = Answerer(shape or _shape_of(state, "captioner"), len(words))
    names = _all_names(model.shape, "answerer")
    _refuse_odd(state, names)
    model.load_state_dict(gathered(state, names))
    return model


def _refuse_odd(state: Mapping[str, Tensor], names: Names) -> None:
    """Refuse a state with a tensor too few or too many."""
    used = {name for theirs in names.values() for name in theirs}
    refuse_odd(used - state.keys(), state.keys() - used)


def to_salesforce(model: Blip | Answerer) -> dict[str, Tensor]:
    """Return the tensors of an original file; `{"model": ...}` of them is what its code loads.

    Its `strict` checks want the position ids too; momentum copies and queues start anew there.

    Raises:
        ValueError: the image encoder or the decoder has no counterpart there.
    """
    refuse_rbm(model)
    refuse_other_eyes(model.shape.vision)
    shape, ours = model.shape, model.state_dict()
    if isinstance(model, Answerer):
        state = scattered(ours, _all_names(shape, "answerer"))
    else:
        state = {
            **scattered(ours, _all_names(shape, "captioner")),
            **scattered(ours, _all_names(shape, "filter")),
            "temp": ours["temperature"].clone(),
        }
    for prefix in PREFIXES.values():
        state[f"{prefix}embeddings.position_ids"] = torch.arange(shape.text.positions)[None]
    return {**state, **both_named(ours)}


def _all_names(shape: Shape, kind: Kind) -> Names:
    return {**timm_names(shape.vision.depth, VISION), **text_names(shape, kind)}


def _halves(state: Mapping[str, Tensor]) -> tuple[Half, ...]:
    return tuple(
        half
        for half, prefix in PREFIXES.items()
        if f"{prefix}embeddings.word_embeddings.weight" in state
    )


def _check_tied(state: Mapping[str, Tensor], shape: Shape) -> None:
    """Refuse a file whose two halves differ in what this model has but once."""
    encoder, decoder = text_names(shape, "filter"), text_names(shape, "captioner")
    for name in encoder.keys() & decoder.keys():
        for one, other in zip(encoder[name], decoder[name], strict=True):
            if not torch.equal(state[one], state[other]):
                raise ValueError(
                    f"{one} and {other} differ: this .pth is no pretrained model, whose encoder "
                    "and decoder share them; a VQA model is loaded as an answerer"
                )


def _shape_of(state: Mapping[str, Tensor], half: Half) -> Shape:
    width, _, patch, _ = state[f"{VISION}patch_embed.proj.weight"].shape
    grid = round((state[f"{VISION}pos_embed"].shape[1] - 1) ** 0.5)
    prefix = PREFIXES[half]
    positions, text_width = state[f"{prefix}embeddings.position_embeddings.weight"].shape
    depth = _count(state, f"{VISION}blocks.")
    return Shape(
        vision=VisionShape(
            image_size=grid * patch,
            patch=patch,
            width=width,
            depth=depth,
            heads=width // HEAD_WIDTH,
            mlp=len(state[f"{VISION}blocks.0.mlp.fc1.weight"]),
            drop_path=usual_drop_path(depth, width),
        ),
        text=TextShape(
            width=text_width,
            depth=_count(state, f"{prefix}encoder.layer."),
            heads=text_width // HEAD_WIDTH,
            mlp=len(state[f"{prefix}encoder.layer.0.intermediate.dense.weight"]),
            positions=positions,
        ),
        embedding=len(state["vision_proj.weight"]) if "vision_proj.weight" in state else 256,
    )


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})
