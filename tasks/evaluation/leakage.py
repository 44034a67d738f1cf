"""Whether a model has seen what it is judged on: evaluation pictures among its training pictures.

By key (the same URL), by the hash of the original bytes, and by perceptual hash, where a few bits
may differ. A leak is said aloud and recorded beside the scores, from which nothing is left out on
its account; a model with one does not become champion.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import rows
from tasks.samples import selected_shards
from tasks.storage import Lake, Shard

log = logging.getLogger(__name__)

# Of 64 bits. A resized or recompressed copy differs in 0 to 2, an unrelated photograph in 20.
MAX_BITS = 3
HASHES_A_READ = 64
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Leakage:
    """Evaluation pictures that the training selections hold.

    Attributes:
        training_pictures: how many were looked through; 0 when the model does not say.
        by_key: same URL.
        by_sha256: same original bytes.
        by_phash: perceptual hashes at most three bits apart.
        leaked: pictures found by key or bytes: certain ones.
        examples: keys of the first few of any kind.
        unknown: selections the model was trained on that this lake does not hold: not looked at.
    """

    training_pictures: int
    by_key: int
    by_sha256: int
    by_phash: int
    leaked: int
    examples: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prints:
    """What tells N pictures apart: key, hash of the bytes ("" where not known), and of the look."""

    keys: NDArray[np.str_]
    sha256: NDArray[np.str_]
    phash: NDArray[np.uint64]
    has_phash: NDArray[np.bool_]


def trained_on(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return id and digest of the selections that a model and its ancestors were trained on.

    The checkpoint it was finetuned from is described in its `start_facts`, and so on back.
    """
    earlier = trained_on(facts["start_facts"]) if facts.get("start_facts") else {}
    own = dict(facts.get("selections", {}))
    return own | {name: digest for name, digest in earlier.items() if name not in own}


def leakage(lake: Lake, ours: Prints, selection_ids: Collection[str]) -> Leakage:
    """Look for evaluation pictures among those of training selections.

    Args:
        lake: where the selections lie.
        ours: the pictures that are evaluated.
        selection_ids: what the model was trained on.

    Raises:
        LakeError: rows of a selection are missing.
    """
    wanted: dict[Shard, set[str]] = {}
    shards = {name: selected_shards(lake, name) for name in selection_ids}
    for name, own in shards.items():
        for shard in own:
            path = lake.rows("selections", name, shard)
            chosen = rows.read_rows(lake, path, ["key"]).column("key").to_pylist()
            wanted.setdefault(shard, set()).update(chosen)
    theirs = _prints(lake, wanted)
    same_key = np.isin(ours.keys, theirs.keys)
    same_bytes = np.isin(ours.sha256, theirs.sha256) & (ours.sha256 != "")
    alike = _alike(ours, theirs)
    certain = same_key | same_bytes
    first = ours.keys[certain | alike][:EXAMPLES]
    return Leakage(
        training_pictures=len(theirs.keys),
        by_key=int(same_key.sum()),
        by_sha256=int(same_bytes.sum()),
        by_phash=int(alike.sum()),
        leaked=int(certain.sum()),
        examples=tuple(str(key) for key in first),
        unknown=tuple(name for name, own in shards.items() if not own),
    )


def batch_prints(lake: Lake, batch: str, keys: Collection[str]) -> Prints:
    """Return the prints of some pictures of a batch.

    Raises:
        LakeError: the batch is not there.
    """
    wanted = set(keys)
    return _prints(lake, dict.fromkeys(lake.planned(batch), wanted))


def _prints(lake: Lake, wanted: Mapping[Shard, set[str]]) -> Prints:
    found: list[tuple[str, str, int | None]] = []
    for shard, keys in wanted.items():
        table = rows.read_rows(lake, lake.rows("web", "", shard), ["key", "sha256", "phash"])
        found += [
            (row["key"], row["sha256"] or "", row["phash"])
            for row in table.to_pylist()
            if row["key"] in keys
        ]
    return prints_of(found)


def prints_of(found: Sequence[tuple[str, str, int | None]]) -> Prints:
    """Return the prints of pictures from key, sha256 and perceptual hash of each."""
    return Prints(
        np.array([key for key, _, _ in found], dtype=np.str_),
        np.array([sha for _, sha, _ in found], dtype=np.str_),
        np.array([phash or 0 for _, _, phash in found], dtype=np.uint64),
        np.array([phash is not None for _, _, phash in found], dtype=np.bool_),
    )


def _alike(ours: Prints, theirs: Prints) -> NDArray[np.bool_]:
    """Return bool (N,): a training picture's perceptual hash is close."""
    close = np.zeros(len(ours.keys), dtype=np.bool_)
    others = theirs.phash[theirs.has_phash]
    if len(others):
        for at in range(0, len(close), HASHES_A_READ):
            some = slice(at, at + HASHES_A_READ)
            bits = np.bitwise_count(ours.phash[some, None] ^ others[None, :])
            close[some] = bits.min(axis=1) <= MAX_BITS
    return close & ours.has_phash


def checked_leakage(lake: Lake, prints: Prints, model: str, facts: Mapping[str, Any]) -> Leakage:
    """Look for evaluated pictures in what the model was trained on, and say so aloud."""
    found = leakage(lake, prints, trained_on(facts))
    if found.leaked:
        log.warning(
            "%d evaluated pictures are among the training pictures of %s, such as %s: its scores "
            "say nothing of pictures it has not seen",
            found.leaked,
            model,
            found.examples[0],
        )
    if found.unknown:
        log.warning(
            "%s was trained on %s too, which this lake does not hold and cannot be looked through",
            model,
            ", ".join(found.unknown),
        )
    return found
