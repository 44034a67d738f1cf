"""The files of a checkpoint, read and held against its card."""

from typing import Any

from tasks.errors import ModelError
from tasks.storage import Lake
from tasks.tensors import described

CARD = "checkpoint.json"
WEIGHTS = "model.safetensors"
PIECES = "tokenizer.json"
TRAINING = "training.safetensors"


def missing(lake: Lake, uri: str) -> ModelError:
    """Return the error that there is no such checkpoint; it names the runs there are."""
    runs = ", ".join(lake.folders("checkpoints")) or "none"
    return ModelError(
        f"there is no checkpoint {uri} in {lake.root} (runs there: {runs}); an address is "
        "checkpoints/<run>/<step>, models:/<name>@<alias>, <owner>/<name> of the hub or a folder"
    )


def read_card(lake: Lake, folder: str) -> dict[str, Any]:
    """Read a checkpoint's card.

    Raises:
        ModelError: there is none, or it is not one of ours.
    """
    try:
        card = lake.read_json(f"{folder}/{CARD}")
        wanted = {"run", "step", "final", "shape", "vocab_size", "facts", "files"}
        absent = wanted - set(card)
        if absent or not {WEIGHTS, PIECES} <= set(card["files"]):
            raise ValueError(f"it lacks {', '.join(sorted(absent)) or 'files'}")
    except FileNotFoundError as error:
        raise missing(lake, folder) from error
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"{folder}/{CARD} is not a checkpoint's card ({error}); remove the folder"
        ) from error
    return dict(card)


def read_content(lake: Lake, folder: str, card: dict[str, Any], name: str) -> bytes:
    """Read a file of a checkpoint and hold it against its card.

    Raises:
        ModelError: it is missing or damaged.
    """
    try:
        content = lake.read_bytes(f"{folder}/{name}")
    except FileNotFoundError as error:
        raise ModelError(f"{folder}/{name} is missing; remove the checkpoint's folder") from error
    wanted, found = card["files"][name], described(content)
    if found != wanted:
        raise ModelError(
            f"{folder}/{name} is damaged: {found['bytes']} bytes with sha256 "
            f"{found['sha256'][:12]}, its card says {wanted['bytes']} with "
            f"{wanted['sha256'][:12]}; remove the checkpoint's folder"
        )
    return content
