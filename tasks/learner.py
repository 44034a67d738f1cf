"""What a run trains, whatever that is: a model, and the function from a batch to its losses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.answering import Answerer
from models.batches import batch_of
from models.blip import Blip
from models.momentum import Momentum
from models.tokenization import Tokenizer
from models.vision import ViT
from tasks.errors import InputError
from tasks.regimen import Regimen
from tasks.team import Losses


def _nothing() -> None:
    """Come before nothing."""


def _no_facts(_: Blip | Answerer) -> Mapping[str, Any]:
    return {}


@dataclass(slots=True)
class Learner:
    """What is trained, and the function from a batch to its losses.

    `encode` makes of pixels, texts and keys what the losses take; `before` is called before the
    losses of every step; `closing_facts` with the trained model. `trains_all` says that the losses
    reach every weight, which spares ranks a search.
    """

    model: Blip | Answerer
    tokenizer: Tokenizer
    losses: Losses
    momentum: Momentum | None = None
    prompt: str = ""
    before: Callable[[], None] = _nothing
    trains_all: bool = False
    closing_facts: Callable[[Any], Mapping[str, Any]] = _no_facts
    encode: Callable[..., Any] = batch_of


def fit(learner: Learner, how: Regimen) -> None:
    """Prepare the model for a regimen.

    Raises:
        InputError: texts may be longer than the model's positions, or more blocks are to be
            recomputed than there are.
    """
    _check_length(learner, how.max_length)
    _recompute(learner.model, how.recomputed_blocks)


def _check_length(learner: Learner, max_length: int) -> None:
    prompt = len(learner.tokenizer.encode_prompt(learner.prompt)) - 1
    room = learner.model.shape.text.positions - prompt
    if max_length > room:
        raise InputError(
            f"max_length is {max_length}, but this model has {learner.model.shape.text.positions} "
            f"positions for a text and the prompt takes {prompt}: give {room} or less"
        )


def _recompute(model: Blip | Answerer, blocks: int) -> None:
    there = len(model.vision.blocks) if isinstance(model.vision, ViT) else 0
    if blocks > there:
        raise InputError(
            f"recomputed_blocks is {blocks}, but this model's vision has {there} transformer blocks"
        )
    if isinstance(model.vision, ViT):
        model.vision.recomputed = blocks
