"""The untrained model that pretraining begins with, and its vocabulary.

From scratch, from what pip installs, or from an image encoder or a BERT (or both) that the user
names.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from models.blip import Blip
from models.packaged import bert_vocabulary, start_from_packages
from models.presets import Shape
from models.starting import Part, part_of, start_image, start_text
from models.tokenization import Tokenizer
from tasks.errors import InputError, ModelError
from tasks.weights import read_state

log = logging.getLogger(__name__)

STARTS = ("scratch", "packaged")


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What decides an untrained model.

    Attributes:
        shape: its sizes.
        init: "scratch", "packaged", or one or two paths with a comma between.
        vocab_size: most word pieces to learn where no BERT brings its own.
        seed: of what is drawn.
    """

    shape: Shape
    init: str
    vocab_size: int
    seed: int


@dataclass(frozen=True, slots=True)
class _Source:
    where: Path
    part: Part
    state: dict[str, Tensor]
    config: Mapping[str, Any]


def check_init(init: str) -> None:
    """Refuse an `init` that names nothing.

    Raises:
        InputError: it is neither a word we know nor paths that are there.
    """
    if init in STARTS:
        return
    absent = [path for path in _paths(init) if not path.exists()]
    if absent:
        raise InputError(
            f"init is {', '.join(STARTS)}, or the folder or file of a ViT, of a BERT, or of both "
            f"with a comma between; there is no {absent[0]}"
        )


def first_model(start: Start, texts: Sequence[str]) -> tuple[Blip, Tokenizer]:
    """Return an untrained model and its tokenizer, both functions of `start` and the texts.

    Raises:
        InputError: no weights of this size are where they were looked for.
    """
    if start.init == "scratch":
        tokenizer = Tokenizer.train(texts, start.vocab_size)
        return Blip(start.shape, tokenizer.vocab_size, start.seed), tokenizer
    if start.init != "packaged":
        return _from_paths(start, texts)
    try:
        tokenizer = Tokenizer.bert(bert_vocabulary())
        model = Blip(start.shape, tokenizer.vocab_size, start.seed)
        filled = start_from_packages(model)
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"this preset cannot start packaged: {error}") from error
    log.info("starts from packaged %s weights", " and ".join(filled))
    return model, tokenizer


def _from_paths(start: Start, texts: Sequence[str]) -> tuple[Blip, Tokenizer]:
    sources = {source.part: source for source in map(_source, _paths(start.init))}
    if len(sources) < len(_paths(start.init)):
        raise InputError(f"init names two models of the same part: {start.init}")
    tokenizer = _vocabulary(sources.get("text"), start, texts)
    model = Blip(_with_epsilons(start.shape, sources), tokenizer.vocab_size, start.seed)
    for part, source in sources.items():
        try:
            (start_image if part == "image" else start_text)(model, source.state)
        except ValueError as error:
            raise InputError(f"{source.where} cannot start this preset: {error}") from error
        log.info("%s starts from %s", part, source.where)
    return model, tokenizer


def _source(where: Path) -> _Source:
    try:
        state = read_state(where)
        part = part_of(state)
    except (ModelError, ValueError) as error:
        raise InputError(f"init {where} cannot be used: {error}") from error
    card = where / "config.json"
    config = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
    return _Source(where, part, state, config)


def _vocabulary(source: _Source | None, start: Start, texts: Sequence[str]) -> Tokenizer:
    if source is None:
        return Tokenizer.train(texts, start.vocab_size)
    # Only here: importing transformers takes seconds that other starts do not need.
    from tasks.foreign import beside

    try:
        return beside(source.where if source.where.is_dir() else source.where.parent)
    except (OSError, ValueError) as error:
        raise InputError(f"the vocabulary of {source.where} cannot be read: {error}") from error


def _with_epsilons(shape: Shape, sources: Mapping[Part, _Source]) -> Shape:
    """Give each half the epsilon of its norms that its weights were trained with."""
    vision, text = shape.vision, shape.text
    if "image" in sources:
        found = sources["image"].config.get("layer_norm_eps", vision.norm_eps)
        vision = replace(vision, norm_eps=found)
    if "text" in sources:
        text = replace(text, norm_eps=sources["text"].config.get("layer_norm_eps", text.norm_eps))
    return replace(shape, vision=vision, text=text)


def _paths(init: str) -> list[Path]:
    return [Path(part.strip()).expanduser() for part in init.split(",")]
