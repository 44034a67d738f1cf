"""The rows of selections joined with where their pictures lie: the (picture, text) pairs to learn.

Columns, not objects: a pair costs about 100 bytes beside its text, so that every rank of a machine
can hold tens of millions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.pictures import Picture, shard_pictures
from tasks.storage import Lake, Shard


@dataclass(frozen=True, slots=True)
class Selected:
    """P pictures of T tars, and N texts of them in the order of the selections' rows.

    Attributes:
        texts: N.
        images: int32 (N,), the place of each text's picture.
        keys: int64 (N,), that picture's key as a number.
        sources: N, where each text came from.
        picture_keys: bytes (P,), 20 hexadecimal digits each.
        tars: T paths.
        tar_of: int32 (P,).
        offsets: int64 (P,), where the picture begins in its tar.
        sizes: int64 (P,), bytes.
        aspects: float32 (P,), width over height.
    """

    texts: list[str]
    images: NDArray[np.int32]
    keys: NDArray[np.int64]
    sources: list[str]
    picture_keys: NDArray[np.bytes_]
    tars: list[str]
    tar_of: NDArray[np.int32]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    aspects: NDArray[np.float32]

    def picture(self, place: int) -> Picture:
        """Return where one picture lies."""
        key, tar = bytes(self.picture_keys[place]).decode(), self.tars[self.tar_of[place]]
        aspect = float(self.aspects[place])
        return Picture(key, tar, int(self.offsets[place]), int(self.sizes[place]), aspect)

    def kept(self, which: NDArray[np.bool_]) -> "Selected":
        """Return some of the texts, bool (N,), with all pictures."""
        chosen = np.flatnonzero(which).tolist()
        return Selected(
            [self.texts[n] for n in chosen],
            self.images[which],
            self.keys[which],
            [self.sources[n] for n in chosen],
            self.picture_keys,
            self.tars,
            self.tar_of,
            self.offsets,
            self.sizes,
            self.aspects,
        )


def key_number(key: str) -> int:
    """Return the first 60 bits of a hexadecimal key: fits int64 and is never negative."""
    return int(key[:15], 16)


def joined(lake: Lake, selection_ids: Sequence[str]) -> Selected:
    """Join selections with their pictures; one that several name is there once.

    Raises:
        InputError: a selection keeps nothing, or none is named.
        LakeError: a selected picture is not in its shard, or a shard's tar is missing or cut short.
    """
    found = _Joining(lake)
    for name in selection_ids:
        before = len(found.texts)
        for shard in selected_shards(lake, name):
            found.join(name, shard)
        if len(found.texts) == before:
            raise InputError(
                f"selection {name} keeps no caption at all, so there is nothing to train on; "
                "loosen its thresholds, or see its decisions for why"
            )
    if not found.texts:
        raise InputError("no selection was named; name at least one to train on")
    whole = found.whole()
    _check_tars(lake, whole)
    return whole


class _Joining:
    """What has been joined so far."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self.texts: list[str] = []
        self._sources: list[str] = []
        self._images: list[int] = []
        self._keys: list[int] = []
        self._places: dict[Shard, dict[str, int]] = {}
        self._tars: dict[str, int] = {}
        self._pictures: list[tuple[bytes, int, int, int, float]] = []
        self._named: dict[str, str] = {}  # one string for all rows of a source

    def join(self, name: str, shard: Shard) -> None:
        """Add the selected texts of a shard, each with its picture's place."""
        path = self._lake.rows("selections", name, shard)
        table = rows.read_rows(self._lake, path, ["key", "text", "source"])
        keys, texts, sources = (table.column(n).to_pylist() for n in ("key", "text", "source"))
        stored = {picture.key: picture for picture in shard_pictures(self._lake, shard)}
        places = self._places.setdefault(shard, {})
        for key, text, source in zip(keys, texts, sources, strict=True):
            if key not in stored:
                raise LakeError(
                    f"selection {name} wants picture {key}, which shard {shard} does not hold; "
                    "the selection belongs to another ingestion: select again"
                )
            place = places.setdefault(key, len(self._pictures))
            if place == len(self._pictures):
                self._add(stored[key])
            self._images.append(place)
            self._keys.append(key_number(key))
            self.texts.append(text)
            self._sources.append(self._named.setdefault(source, source))

    def _add(self, picture: Picture) -> None:
        tar = self._tars.setdefault(picture.tar, len(self._tars))
        where = picture.offset, picture.size, picture.aspect
        self._pictures.append((picture.key.encode(), tar, *where))

    def whole(self) -> Selected:
        """Return it as columns."""
        keys, tars, offsets, sizes, aspects = zip(*self._pictures, strict=True)
        return Selected(
            self.texts,
            np.array(self._images, dtype=np.int32),
            np.array(self._keys, dtype=np.int64),
            self._sources,
            np.array(keys, dtype=np.bytes_),
            list(self._tars),
            np.array(tars, dtype=np.int32),
            np.array(offsets, dtype=np.int64),
            np.array(sizes, dtype=np.int64),
            np.array(aspects, dtype=np.float32),
        )


def _check_tars(lake: Lake, found: Selected) -> None:
    """Hold the length of every tar against where its pictures lie, before anything is learned.

    Raises:
        LakeError: one is missing or ends too early; names it.
    """
    ends = np.zeros(len(found.tars), dtype=np.int64)
    np.maximum.at(ends, found.tar_of, found.offsets + found.sizes)
    lengths: dict[str, int] = {}
    for folder in sorted({str(PurePosixPath(tar).parent) for tar in found.tars}):
        if lake.exists(folder):
            listed = lake.fs.ls(lake.path(folder), detail=True)
            lengths |= {f"{folder}/{PurePosixPath(e['name']).name}": e["size"] for e in listed}
    for tar, end in zip(found.tars, ends.tolist(), strict=True):
        if lengths.get(tar, -1) < end:
            state = f"has {lengths[tar]} bytes of {end}" if tar in lengths else "is missing"
            raise LakeError(
                f"{tar} in {lake.root} {state} although its rows are there; remove the shard's "
                "ingestion commit and run ingestion again"
            )


def selected_shards(lake: Lake, selection_id: str) -> list[Shard]:
    """Return the shards a selection has rows for, in order of batch and name."""
    found = lake.glob(f"selections/{selection_id}/*/*.parquet")
    paths = [PurePosixPath(relative) for relative in found]
    return [Shard(path.parent.name, path.stem) for path in paths]


def selection_digest(lake: Lake, selection_id: str) -> str:
    """Return the digest on a selection's card.

    Raises:
        InputError: the selection is not there or was never finished.
    """
    card = f"selections/{selection_id}/selection.json"
    if not lake.exists(card):
        known = ", ".join(lake.folders("selections")) or "none"
        raise InputError(
            f"selection {selection_id!r} is missing or unfinished in {lake.root} "
            f"(there: {known}); run the selection stage first"
        )
    return str(lake.read_json(card)["digest"])
