"""Twins: pictures with the same bytes, or with hashes at most three bits apart.

Two 64-bit hashes within three bits agree exactly in at least one of four 16-bit bands, so only
pairs that share a band are compared. Near-flat pictures have hashes that mean nothing and are
compared by their bytes alone. Nothing is deleted: a twin is a row that names its keeper.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RADIUS = 3  # bits of the perceptual hash
DHASH_RADIUS = 10  # the second hash must not disagree: composed pictures share one easily
BANDS = 4
BAND_BITS = 16
MIN_ENTROPY = 1.5
MAX_FLAT = 0.97


@dataclass(frozen=True, slots=True)
class Twin:
    """A picture that another one stands for; `distance` in bits of the perceptual hash."""

    key: str
    keeper: str
    method: str
    distance: int


def twins_of(pictures: Sequence[Mapping[str, Any]]) -> list[Twin]:
    """Return one Twin for every picture that is not the keeper of its group.

    Args:
        pictures: rows with key, sha256, phash, dhash, entropy, flat_frac, original_width and
            original_height; their order does not matter.

    Of a group the picture with the largest shorter side is kept, then the one with the smallest
    key. Groups are connected components.
    """
    by_key = {row["key"]: row for row in pictures}
    groups = _Groups(by_key)
    for row in sorted(pictures, key=lambda row: row["key"]):
        groups.meet(("sha256", row["sha256"]), row["key"])
    for one, other in _near_pairs(pictures):
        groups.join(one, other)
    return sorted(_twins(groups, by_key), key=lambda twin: twin.key)


def _twins(groups: "_Groups", by_key: Mapping[str, Mapping[str, Any]]) -> Iterator[Twin]:
    for members in groups.components():
        keeper = min(members, key=lambda key: (-_shorter_side(by_key[key]), key))
        for key in members:
            if key == keeper:
                continue
            same = by_key[key]["sha256"] == by_key[keeper]["sha256"]
            apart = (by_key[key]["phash"] ^ by_key[keeper]["phash"]).bit_count()
            yield Twin(key, keeper, "sha256" if same else "phash", 0 if same else apart)


def _shorter_side(row: Mapping[str, Any]) -> int:
    return int(min(row["original_width"], row["original_height"]))


def _near_pairs(pictures: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield pairs that join every picture to those near it; each pair of hashes is met once."""
    first: dict[tuple[int, int], str] = {}
    for row in pictures:
        if row["entropy"] >= MIN_ENTROPY and row["flat_frac"] <= MAX_FLAT:
            met = first.setdefault((row["phash"], row["dhash"]), row["key"])
            if met != row["key"]:
                yield met, row["key"]
    hashes = np.array(list(first), dtype=np.uint64).reshape(-1, 2)
    keys = list(first.values())
    for one, other in _near_hashes(hashes):
        yield keys[one], keys[other]


def _near_hashes(hashes: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows of uint64 (N, 2) that agree in a band and are near in both hashes."""
    for band in range(BANDS):
        codes = (hashes[:, 0] >> np.uint64(band * BAND_BITS)) & np.uint64((1 << BAND_BITS) - 1)
        order = np.argsort(codes, kind="stable")
        edges = np.flatnonzero(np.diff(codes[order])) + 1
        for members in np.split(order, edges):
            for place, one in enumerate(members[:-1]):
                others = members[place + 1 :]
                apart = np.bitwise_count(hashes[others] ^ hashes[one])
                near = (apart[:, 0] <= RADIUS) & (apart[:, 1] <= DHASH_RADIUS)
                for other in others[near]:
                    yield int(one), int(other)


class _Groups:
    """Union-find over keys."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._parents = {key: key for key in keys}
        self._first: dict[tuple[str, str], str] = {}

    def meet(self, mark: tuple[str, str], key: str) -> None:
        """Join with whoever showed this mark first."""
        self.join(self._first.setdefault(mark, key), key)

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self._root(one), self._root(other)))
        self._parents[second] = first

    def _root(self, key: str) -> str:
        while (parent := self._parents[key]) != key:
            self._parents[key] = self._parents[parent]
            key = self._parents[key]
        return key

    def components(self) -> list[list[str]]:
        members: dict[str, list[str]] = defaultdict(list)
        for key in self._parents:
            members[self._root(key)].append(key)
        return [sorted(group) for group in members.values() if len(group) > 1]
