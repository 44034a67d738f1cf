"""Twins: pictures with the same bytes, or with hashes at most three bits apart.

The 64 bits of a hash are cut into five blocks. Two hashes within three bits differ in three blocks
at most, so at least two blocks agree: ten joins, one for every two blocks, meet every near pair and
few others (Manku, Jain and Das Sarma, 2007). Nothing is deleted: a twin is a row that names its
keeper.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks import rows
from tasks.database import Database

RADIUS = 3  # bits of the perceptual hash
DHASH_RADIUS = 10  # the second hash must not disagree: composed pictures share one easily
BLOCKS = (13, 13, 13, 13, 12)  # bits; RADIUS + 2 of them
MIN_ENTROPY = 1.5
MAX_FLAT = 0.97

# What is read of every picture.
LOOKED_AT = pa.schema(
    rows.WEB.field(name)
    for name in (
        "batch",
        "key",
        "outcome",
        "source",
        "sha256",
        "phash",
        "dhash",
        "trimmed_phash",
        "trimmed_dhash",
        "entropy",
        "flat_frac",
        "original_width",
        "original_height",
    )
)
COMPARED = pa.schema({"batch": pa.string(), "place": pa.int64(), "is_new": pa.bool_()}.items())

Places = NDArray[np.int64]


def find_twins(database: Database) -> pa.Table:
    """Return a row of `rows.DUPLICATES` for every new picture that another one stands for.

    Args:
        database: with the tables `web` (LOOKED_AT), `raw_mark` (DUPLICATES of earlier batches, with
            their `path`) and `compared` (COMPARED: the order of the batches, and which is new).

    Groups are connected components. One of an earlier batch is kept before one of the new batch,
    then the one with the largest shorter side, then the one with the smallest key.
    """
    database.create("mark", "duplicates/marks")
    database.create(
        "picture", "duplicates/pictures", min_entropy=MIN_ENTROPY, max_flat_frac=MAX_FLAT
    )
    database.create("look", "duplicates/looks")
    groups = Groups(database.rows("duplicates/counts")[0]["pictures"])
    for one, other in _pairs(database):
        groups.join(one, other)
    labels = groups.labels()
    database.keep("grouped", pa.table({"id": np.arange(len(labels)), "label": labels}))
    return database.table("duplicates/twins").cast(rows.DUPLICATES)


def _pairs(database: Database) -> Iterator[tuple[Places, Places]]:
    """Yield pairs of picture numbers, int64 (N,) each, that belong together."""
    yield from _columns(database.batches("duplicates/same"))
    for mask in masks():
        yield from _columns(
            database.batches("duplicates/near", mask=mask, radius=RADIUS, dhash_radius=DHASH_RADIUS)
        )


def _columns(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Places, Places]]:
    for batch in batches:
        yield batch.column("one").to_numpy(), batch.column("other").to_numpy()


def masks() -> list[int]:
    """Return the bits of every two blocks."""
    ends = np.cumsum(BLOCKS).tolist()
    blocks = [((1 << size) - 1) << (end - size) for size, end in zip(BLOCKS, ends, strict=True)]
    return [one | other for one, other in combinations(blocks, 2)]


class Groups:
    """Union-find over 0 .. count - 1, many pairs at a time."""

    def __init__(self, count: int) -> None:
        self._parents = np.arange(count)

    def join(self, one: Places, other: Places) -> None:
        """Put one[i] and other[i] into the same group, for every i."""
        while one.size:
            one, other = self._roots(one), self._roots(other)
            is_apart = one != other
            low = np.minimum(one, other)[is_apart]
            high = np.maximum(one, other)[is_apart]
            # A root that meets several others goes to the smallest; the rest have another turn.
            np.minimum.at(self._parents, high, low)
            one, other = low, high

    def labels(self) -> Places:
        """Return the smallest member of everyone's group."""
        return self._roots(np.arange(self._parents.size))

    def _roots(self, places: Places) -> Places:
        roots = self._parents[places]
        while np.any(roots != (further := self._parents[roots])):
            roots = further
        self._parents[places] = roots
        return roots
