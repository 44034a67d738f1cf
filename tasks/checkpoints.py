"""Checkpoints: written whole, found whole, and loaded by one kind of address.

    checkpoints/<run>/<step>/model.safetensors     the weights
                             tokenizer.json        the whole tokenizer
                             training.safetensors  optimiser, momentum encoder and queues; not
                                                   in a final checkpoint
                             checkpoint.json       shape, facts and sha256s; published LAST

There is no pickle in any of them. A folder without `checkpoint.json` is a save that was cut short:
nobody reads it and the next save of the run removes it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor

from models.answering import Answerer
from models.blip import Blip
from models.presets import shape_from
from models.tokenization import Tokenizer
from tasks.checkpoint_files import (
    ANSWERER,
    BLIP,
    CARD,
    FORMAT,
    PIECES,
    TRAINING,
    WEIGHTS,
    NewerCheckpointError,
    missing,
    prune,
    read_card,
    read_content,
    remove,
    steps,
)
from tasks.errors import ModelError
from tasks.hub import hub_folder, hub_id, weights_stamp
from tasks.storage import Lake
from tasks.tensors import described, packed, unpacked

log = logging.getLogger(__name__)

ORIGINAL = (".pth", ".pt")  # what the original code's files end in


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint: where it is and what its card says."""

    run: str
    step: int
    uri: str
    card: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """What the training run wrote about itself."""
        return dict(self.card["facts"])

    @property
    def is_final(self) -> bool:
        """True when the run that wrote it was done."""
        return bool(self.card["final"])


Model = TypeVar("Model", bound=Blip | Answerer)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Model]):
    """A model ready to use; `name` is its address with the first digits of its weights' sha256."""

    model: Model
    tokenizer: Tokenizer
    facts: dict[str, Any]
    uri: str
    name: str


LoadedModel = Loaded[Blip]
LoadedAnswerer = Loaded[Answerer]


def save_checkpoint(  # noqa: PLR0913  # a checkpoint is these seven things
    lake: Lake,
    run: str,
    step: int,
    model: Blip | Answerer,
    tokenizer: Tokenizer,
    facts: Mapping[str, Any],
    training_state: Mapping[str, Tensor] | None = None,
) -> Checkpoint:
    """Publish a checkpoint whole, then remove the run's older ones but the last two.

    Args:
        lake: where it goes.
        run: the training run's name.
        step: how many steps have been taken.
        model: its weights go in as they are, at their precision.
        tokenizer: the one the model was trained with.
        facts: JSON-like; what the run is, for whoever finds the checkpoint alone.
        training_state: what resuming needs; None marks the run as done.
    """
    uri = f"checkpoints/{run}/{step:08d}"
    # A rerun after a damaged card must not leave the old card beside new weights.
    remove(lake, f"{uri}/{CARD}")
    files = {
        WEIGHTS: packed(model.state_dict()),
        PIECES: tokenizer.to_json().encode(),
    }
    if training_state is not None:
        files[TRAINING] = packed(training_state)
    for name, content in files.items():
        lake.publish_bytes(f"{uri}/{name}", content)
    card = {
        "format": FORMAT,
        "run": run,
        "step": step,
        "kind": BLIP if isinstance(model, Blip) else ANSWERER,
        "final": training_state is None,
        "shape": model.shape.to_dict(),
        "vocab_size": model.vocab_size,
        "facts": dict(facts),
        "files": {name: described(content) for name, content in files.items()},
    }
    lake.publish_json(f"{uri}/{CARD}", card)
    prune(lake, run, step)
    return Checkpoint(run, step, uri, card)


def newest(lake: Lake, run: str) -> Checkpoint | None:
    """Return the run's newest whole checkpoint, or None; damaged ones are passed over aloud.

    Raises:
        NewerCheckpointError: a later Caplift has gone on with the run, which starting from an
            older checkpoint would undo.
    """
    for step, uri in reversed(steps(lake, run)):
        if not lake.exists(f"{uri}/{CARD}"):
            continue
        try:
            card = read_card(lake, uri)
            for name in card["files"]:
                read_content(lake, uri, card, name)
        except NewerCheckpointError:
            raise
        except ModelError as error:
            log.warning("%s; looking for an older one", error)
            continue
        return Checkpoint(run, step, uri, card)
    return None


def training_state(lake: Lake, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return the tensors a run resumes from.

    Raises:
        ModelError: the checkpoint is final, so it has none, or the file is damaged.
    """
    if checkpoint.is_final:
        raise ModelError(
            f"{checkpoint.uri} is final and holds no optimiser state; give its address as the "
            "start of a new run instead"
        )
    content = read_content(lake, checkpoint.uri, checkpoint.card, TRAINING)
    return unpacked(content, f"{checkpoint.uri}/{TRAINING}")


def load_model(lake: Lake, uri: str, device: str = "cpu") -> LoadedModel:
    """Load a model for use, in eval mode.

    Args:
        lake: where `checkpoints/...` addresses are looked up.
        uri: `checkpoints/<run>/<step>`; `checkpoints/<run>` for its newest; a registered model
            such as `models:/caplift-captioner@champion`; a folder on this machine, of ours or in
            transformers' format; an original `.pth` file; or a model of the hub,
            `<owner>/<name>` with or without `hub:` before it.
        device: where the weights go.

    Raises:
        ModelError: it is missing, damaged, no model we can read, or one that answers questions.
    """
    loaded = load_any(lake, uri, device)
    if isinstance(loaded.model, Answerer):
        raise ModelError(
            f"{uri} answers questions; it writes no captions and judges none. Name a pretrained "
            "model, a captioner or a filter"
        )
    return Loaded(loaded.model, loaded.tokenizer, loaded.facts, loaded.uri, loaded.name)


def load_answerer(lake: Lake, uri: str, device: str = "cpu") -> LoadedAnswerer:
    """Load a model that answers questions; as `load_model`.

    Raises:
        ModelError: it is missing, damaged, or answers no questions.
    """
    loaded = load_any(lake, uri, device)
    if isinstance(loaded.model, Blip):
        raise ModelError(
            f"{uri} answers no questions; finetune it first: python -m tasks.finetuning vqa"
        )
    return Loaded(loaded.model, loaded.tokenizer, loaded.facts, loaded.uri, loaded.name)


def load_any(lake: Lake, uri: str, device: str = "cpu") -> Loaded[Blip | Answerer]:
    """Load a model of either kind; as `load_model`."""
    foreign = _foreign(uri)
    if foreign:
        return _imported(foreign, uri, device)
    place, folder = _located(lake, uri)
    card = read_card(place, folder)
    weights = read_content(place, folder, card, WEIGHTS)
    built = Answerer if card.get("kind", BLIP) == ANSWERER else Blip
    try:
        tokenizer = Tokenizer.from_json(read_content(place, folder, card, PIECES).decode())
        model: Blip | Answerer = built(shape_from(card["shape"]), int(card["vocab_size"]))
        model.load_state_dict(unpacked(weights, f"{uri}/{WEIGHTS}"))
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        # torch names the tensors that differ from the second line on.
        reason = ": ".join(line.strip() for line in str(error).splitlines()[:2])
        raise ModelError(
            f"{uri} was written by another version of Caplift ({reason}); train again, or check "
            "out the revision its card names"
        ) from error
    used = folder if place == lake else uri
    name = f"{used}#{card['files'][WEIGHTS]['sha256'][:12]}"
    return Loaded(model.to(device).eval(), tokenizer, dict(card["facts"]), used, name)


def resolved(lake: Lake, uri: str) -> tuple[str, str]:
    """Return the address of what `uri` means now, and what changes when its weights do.

    Raises:
        ModelError: there is no such model.
    """
    foreign = _foreign(uri)
    if foreign:
        return uri, weights_stamp(Path(foreign))
    place, folder = _located(lake, uri)
    digest = str(read_card(place, folder)["files"][WEIGHTS]["sha256"])
    return (folder if place == lake else uri), digest


def _foreign(uri: str) -> str:
    """Return the file or folder of a model that others wrote; empty for any other."""
    named = hub_id(uri)
    if named:
        return str(hub_folder(named))
    where = Path(uri)
    if where.suffix in ORIGINAL and where.is_file():
        return uri
    is_theirs = (where / "config.json").is_file() and not (where / CARD).is_file()
    return uri if is_theirs else ""


def _imported(where: str, uri: str, device: str) -> Loaded[Blip | Answerer]:
    # Only here: importing transformers takes seconds that our own checkpoints do not need.
    from tasks.foreign import load_foreign, weights_digest

    model, tokenizer, facts = load_foreign(where)
    name = f"{uri}#{weights_digest(model)[:12]}"
    return Loaded(model.to(device).eval(), tokenizer, facts, uri, name)


def _located(lake: Lake, uri: str) -> tuple[Lake, str]:
    """Return the file system root and the folder in it that an address means."""
    if uri.startswith("models:/"):
        # Only here: a GPU host without MLflow loads every other kind of address.
        from tasks.registry import download

        return _outside(download(uri, lake))
    if uri.startswith("checkpoints/"):
        if len(uri.rstrip("/").split("/")) > 2:
            return lake, uri.rstrip("/")
        found = newest(lake, uri.rstrip("/").removeprefix("checkpoints/"))
        if found is None:
            raise missing(lake, uri)
        return lake, found.uri
    if Path(uri).is_dir():
        return _outside(Path(uri))
    raise missing(lake, uri)


def _outside(folder: Path) -> tuple[Lake, str]:
    whole = folder.resolve()
    return Lake(str(whole.parent)), whole.name
