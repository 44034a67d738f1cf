"""Twins are the pictures that comparing all with all would find, and each group has one keeper."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from tasks.ingestion.dedup import DHASH_RADIUS, RADIUS, Twin, twins_of


def picture(key: str, phash: int, dhash: int = 0, **other: Any) -> dict[str, Any]:
    flat = {"sha256": f"bytes of {key}", "entropy": 7.0, "flat_frac": 0.1}
    return {
        "key": key,
        "phash": phash,
        "dhash": dhash,
        "original_width": 101,
        "original_height": 67,
    } | (flat | other)


def low(count: int) -> int:
    """A number whose lowest `count` bits are set."""
    return (1 << count) - 1


def test_equal_bytes_are_twins_whatever_the_hashes_say() -> None:
    pictures = [picture("b", 0, sha256="s"), picture("a", low(64), sha256="s")]
    assert twins_of(pictures) == [Twin("b", "a", "sha256", 0)]


@pytest.mark.parametrize(
    ("bits", "second_bits", "are_twins"),
    [(0, 0, True), (3, 0, True), (4, 0, False), (0, 10, True), (0, 11, False), (3, 10, True)],
)
def test_looks_are_near_when_both_hashes_are(bits: int, second_bits: int, are_twins: bool) -> None:
    pictures = [picture("a", 0), picture("b", low(bits), low(second_bits))]
    assert twins_of(pictures) == ([Twin("b", "a", "phash", bits)] if are_twins else [])


def test_flat_pictures_are_twins_only_by_their_bytes() -> None:
    assert twins_of([picture("a", 5, entropy=1.4), picture("b", 5, entropy=1.4)]) == []
    assert twins_of([picture("a", 5, flat_frac=0.98), picture("b", 5)]) == []


def test_the_largest_is_kept_then_the_first_key() -> None:
    pictures = [
        picture("a", 0),
        picture("b", 1, original_width=997, original_height=71),
        picture("c", 3, original_width=71, original_height=89),
    ]
    assert twins_of(pictures) == [Twin("a", "b", "phash", 1), Twin("c", "b", "phash", 1)]
    assert [twin.keeper for twin in twins_of([picture("z", 0), picture("y", 1)])] == ["y"]


def test_nearness_is_passed_on_along_a_chain() -> None:
    pictures = [picture("a", 0), picture("b", low(3)), picture("c", low(6))]
    assert twins_of(pictures) == [Twin("b", "a", "phash", 3), Twin("c", "a", "phash", 6)]


def bits_apart(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def groups_by_comparing_all(pictures: list[dict[str, Any]]) -> set[frozenset[str]]:
    groups = [{row["key"]} for row in pictures]
    for one, other in combinations(pictures, 2):
        near = bits_apart(one["phash"], other["phash"]) <= RADIUS
        if near and bits_apart(one["dhash"], other["dhash"]) <= DHASH_RADIUS:
            first = next(group for group in groups if one["key"] in group)
            second = next(group for group in groups if other["key"] in group)
            if first is not second:
                first |= second
                groups.remove(second)
    return {frozenset(group) for group in groups if len(group) > 1}


@pytest.mark.parametrize("seed", range(5))
def test_bands_find_what_comparing_all_with_all_finds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    centres = [int(n) for n in generator.integers(0, 1 << 63, 23)]
    pictures = []
    for number in range(211):
        phash, dhash = centres[number % 23], centres[(number * 7) % 23]
        for bit in generator.choice(64, int(generator.integers(0, 6)), replace=False):
            phash ^= 1 << int(bit)
        pictures.append(picture(f"{number:03d}", phash, dhash if seed % 2 else 0))
    found: dict[str, set[str]] = {}
    for twin in twins_of(pictures):
        found.setdefault(twin.keeper, {twin.keeper}).add(twin.key)
    expected = groups_by_comparing_all(pictures)
    assert len(expected) > 5
    assert {frozenset(group) for group in found.values()} == expected
    assert twins_of(pictures[::-1]) == twins_of(pictures)
