"""The files of a checkpoint, read and held against its card, and removed when others follow."""

from typing import Any, cast

from tasks.errors import CapliftError, ModelError
from tasks.storage import Lake
from tasks.tensors import described

FORMAT = 1
KEPT = 2
BLIP, ANSWERER = "blip", "answerer"  # what a card may say of its `kind`
CARD = "checkpoint.json"
WEIGHTS = "model.safetensors"
PIECES = "tokenizer.json"
TRAINING = "training.safetensors"
FIELDS: dict[str, type] = {
    "run": str,
    "step": int,
    "final": bool,
    "shape": dict,
    "vocab_size": int,
    "facts": dict,
    "files": dict,
}


class NewerCheckpointError(ModelError):
    """A checkpoint is of a format that came later: good, but not for this Caplift."""


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
        NewerCheckpointError: it is of a later format.
    """
    try:
        card = lake.read_json(f"{folder}/{CARD}")
        if not isinstance(card, dict):
            raise ValueError(f"it holds a {type(card).__name__}")
        written = card.get("format", 1)
        if isinstance(written, int) and written > FORMAT:
            raise NewerCheckpointError(
                f"{folder} is of format {written} and this Caplift reads up to {FORMAT}: use the "
                "one that wrote it"
            )
        _check(card)
    except FileNotFoundError as error:
        raise missing(lake, folder) from error
    except ValueError as error:
        raise ModelError(
            f"{folder}/{CARD} is not a checkpoint's card ({error}); remove the folder"
        ) from error
    return cast(dict[str, Any], card)


def _check(card: dict[str, Any]) -> None:
    absent = FIELDS.keys() - card.keys()
    if absent:
        raise ValueError(f"it lacks {', '.join(sorted(absent))}")
    odd = [name for name, kind in FIELDS.items() if not isinstance(card[name], kind)]
    files = card["files"]
    if odd:
        raise ValueError(f"its {', '.join(odd)} cannot be read")
    if not {WEIGHTS, PIECES} <= files.keys():
        raise ValueError(f"it lists no {WEIGHTS} or no {PIECES}")
    if not all(
        isinstance(one, dict) and {"bytes", "sha256"} <= one.keys() for one in files.values()
    ):
        raise ValueError("it does not say what its files hold")
    if card.get("kind", BLIP) not in (BLIP, ANSWERER):
        raise ValueError(f"its kind is {card['kind']!r}")


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


def prune(lake: Lake, run: str, written: int) -> None:
    """Remove what no one needs: all but the last two and the final one."""
    older = [uri for step, uri in steps(lake, run) if step < written]
    whole = [uri for uri in older if lake.exists(f"{uri}/{CARD}")]
    spared = set(whole[-(KEPT - 1) :])
    for uri in older:
        try:
            keep = uri in spared or (uri in whole and read_card(lake, uri)["final"])
        except CapliftError:
            keep = False
        if not keep:
            # The card first: from then on the folder is no checkpoint, whatever happens.
            remove(lake, f"{uri}/{CARD}")
            lake.fs.rm(lake.path(uri), recursive=True)


def steps(lake: Lake, run: str) -> list[tuple[int, str]]:
    """Return the steps of a run that have a folder, in order, with its address."""
    names = [name for name in lake.folders(f"checkpoints/{run}") if name.isdecimal()]
    return [(int(name), f"checkpoints/{run}/{name}") for name in names]


def remove(lake: Lake, relative: str) -> None:
    """Remove a file if it is there."""
    if lake.exists(relative):
        lake.fs.rm(lake.path(relative))
