"""Twins are the pictures that comparing all with all would find, and each group has one keeper."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from tasks import rows
from tasks.database import Database
from tasks.ingestion.dedup import (
    COMPARED,
    DHASH_RADIUS,
    LOOKED_AT,
    RADIUS,
    Groups,
    find_twins,
    masks,
)
from tasks.rows import Outcome

Twin = tuple[str, str, str, int]  # key, keeper, method, distance
MARK = rows.DUPLICATES.append(rows.WEB.field("key").with_name("path"))


def picture(key: str, phash: int, dhash: int = 0, **other: Any) -> dict[str, Any]:
    plain = {
        "batch": "web",
        "source": "web",
        "outcome": Outcome.KEPT,
        "sha256": f"bytes of {key}",
        "entropy": 7.0,
        "flat_frac": 0.1,
        "original_width": 101,
        "original_height": 67,
    }
    return {"key": key, "phash": phash, "dhash": dhash} | plain | other


def mark(key: str, batch: str, keeper: str, keeper_batch: str) -> dict[str, Any]:
    named = {"key": key, "keeper": keeper, "keeper_batch": keeper_batch, "method": "phash"}
    return {**named, "distance": 1, "path": f"lake/duplicates/ingestion/{batch}/00000.parquet"}


def rows_of(
    pictures: list[dict[str, Any]], marks: list[dict[str, Any]] | None = None, new: str = "web"
) -> list[dict[str, Any]]:
    batches = [*sorted({row["batch"] for row in pictures} - {new}), new]
    compared = [{"batch": b, "place": n, "is_new": b == new} for n, b in enumerate(batches)]
    with Database() as database:
        database.keep("web", rows.table_of(pictures, LOOKED_AT))
        database.keep("raw_mark", rows.table_of(marks or [], MARK))
        database.keep("compared", rows.table_of(compared, COMPARED))
        return find_twins(database).to_pylist()


def twins_of(pictures: list[dict[str, Any]], *more: Any) -> list[Twin]:
    found = rows_of(pictures, *more)
    return [(row["key"], row["keeper"], row["method"], row["distance"]) for row in found]


def keepers(pictures: list[dict[str, Any]], *more: Any) -> dict[str, tuple[str, str]]:
    found = rows_of(pictures, *more)
    return {row["key"]: (row["keeper_batch"], row["keeper"]) for row in found}


def low(count: int) -> int:
    """A number whose lowest `count` bits are set."""
    return (1 << count) - 1


def test_equal_bytes_are_twins_whatever_the_hashes_say() -> None:
    pictures = [picture("b", 0, sha256="s"), picture("a", low(64), sha256="s")]
    assert twins_of(pictures) == [("b", "a", "sha256", 0)]


@pytest.mark.parametrize(
    ("bits", "second_bits", "are_twins"),
    [(0, 0, True), (3, 0, True), (4, 0, False), (0, 10, True), (0, 11, False), (3, 10, True)],
)
def test_looks_are_near_when_both_hashes_are(bits: int, second_bits: int, are_twins: bool) -> None:
    pictures = [picture("a", 0), picture("b", low(bits), low(second_bits))]
    assert twins_of(pictures) == ([("b", "a", "phash", bits)] if are_twins else [])


def test_flat_pictures_are_twins_only_by_their_bytes() -> None:
    assert twins_of([picture("a", 5, entropy=1.4), picture("b", 5, entropy=1.4)]) == []
    assert twins_of([picture("a", 5, flat_frac=0.98), picture("b", 5)]) == []
    flat: dict[str, Any] = {"sha256": "s", "entropy": 1.4}
    assert twins_of([picture("a", 5, **flat), picture("b", 9, **flat)]) == [("b", "a", "sha256", 0)]


def test_a_picture_that_was_not_kept_or_not_measured_is_no_twin() -> None:
    lost = picture("b", 0, sha256="bytes of a", outcome=Outcome.TOO_SMALL)
    assert twins_of([picture("a", 0), lost]) == []
    bare = dict.fromkeys(("phash", "dhash", "sha256", "entropy", "flat_frac"))
    assert twins_of([{**picture(key, 0), **bare} for key in "ab"]) == []


def test_what_lies_inside_a_border_is_compared_too() -> None:
    inside = {"trimmed_phash": low(2), "trimmed_dhash": low(9)}
    framed = picture("b", low(40), low(40), **inside)
    assert twins_of([picture("a", 0), framed]) == [("b", "a", "phash", 2)]
    assert twins_of([picture("a", low(20), low(20)), framed]) == []
    other = picture("c", low(60) << 4, low(50), **inside)
    assert twins_of([framed, other]) == [("c", "b", "phash", 0)]


def test_the_largest_is_kept_then_the_first_key() -> None:
    pictures = [
        picture("a", 0),
        picture("b", 1, original_width=997, original_height=71),
        picture("c", 3, original_width=71, original_height=89),
    ]
    assert twins_of(pictures) == [("a", "b", "phash", 1), ("c", "b", "phash", 1)]
    assert [twin[1] for twin in twins_of([picture("z", 0), picture("y", 1)])] == ["y"]


def test_nearness_is_passed_on_along_a_chain() -> None:
    pictures = [picture("a", 0), picture("b", low(3)), picture("c", low(6))]
    assert twins_of(pictures) == [("b", "a", "phash", 3), ("c", "a", "phash", 6)]


def test_a_picture_of_an_earlier_batch_is_kept_and_is_not_marked_itself() -> None:
    earlier = [picture("y", 0, batch="old"), picture("z", 0, batch="old")]
    large = picture("a", 1, original_width=9973, original_height=9967)
    assert keepers([*earlier, large, picture("b", 2)], []) == {"a": ("old", "y"), "b": ("old", "y")}


def test_the_keeper_of_an_earlier_copy_is_the_keeper_of_what_is_near_the_copy() -> None:
    earlier = [picture("k", 0, batch="one"), picture("d", low(3), batch="two")]
    marks = [mark("d", "two", "k", "one")]
    # Five bits from the keeper, two from its copy.
    assert keepers([*earlier, picture("n", low(5))], marks) == {"n": ("one", "k")}
    # Without the mark the two are a group of their own, of which the first key is kept.
    apart = [picture("k", low(30), batch="one"), picture("d", low(3), batch="two")]
    assert keepers([*apart, picture("n", low(5))], []) == {"n": ("two", "d")}


def test_the_same_address_in_a_later_batch_is_a_copy_when_it_looks_the_same() -> None:
    earlier = [picture("k", 0, batch="one"), picture("m", low(30), batch="one")]
    again = [picture("k", 0), picture("m", low(60) << 3, sha256="other bytes")]
    assert keepers([*earlier, *again]) == {"k": ("one", "k")}


def test_a_batch_that_is_marked_once_more_keeps_what_stands_for_later_ones() -> None:
    # "web" was marked before "later", and its record has been removed since.
    later = picture("c", 1, batch="later", original_width=9973, original_height=9967)
    marks = [mark("c", "later", "b", "web")]
    assert keepers([picture("a", 3), picture("b", 0), later], marks) == {"a": ("web", "b")}


def test_of_earlier_keepers_one_of_the_web_comes_before_one_of_people() -> None:
    human = picture("a", 0, batch="human", source="human")
    found = keepers([human, picture("b", 1, batch="old"), picture("c", 0)])
    assert found == {"c": ("old", "b")}


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


@pytest.mark.parametrize("seed", range(6))
def test_the_joins_find_what_comparing_all_with_all_finds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    centres = [int(n) for n in generator.integers(0, 1 << 64, 23, dtype=np.uint64)]
    pictures = []
    for number in range(211):
        phash, dhash = centres[number % 23], centres[(number * 7) % 23]
        for bit in generator.choice(64, int(generator.integers(0, 6)), replace=False):
            phash ^= 1 << int(bit)
        pictures.append(picture(f"{number:03d}", phash, dhash if seed % 2 else 0))
    found: dict[str, set[str]] = {}
    for key, keeper, _, _ in twins_of(pictures):
        found.setdefault(keeper, {keeper}).add(key)
    expected = groups_by_comparing_all(pictures)
    assert len(expected) > 5
    assert {frozenset(group) for group in found.values()} == expected
    assert twins_of(pictures[::-1]) == twins_of(pictures)


def test_any_three_bits_leave_two_blocks_whole() -> None:
    wholes = masks()
    assert len(wholes) == 10
    for places in combinations(range(64), 3):
        changed = sum(1 << place for place in places)
        assert any(changed & whole == 0 for whole in wholes)


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_those_of_walking_from_member_to_member(seed: int) -> None:
    generator = np.random.default_rng(seed)
    count = int(generator.integers(2, 60))
    pairs = generator.integers(0, count, (int(generator.integers(0, 70)), 2))
    groups = Groups(count)
    for some in np.array_split(pairs, 3):
        groups.join(some[:, 0], some[:, 1])
    expected = list(range(count))
    for _ in range(count):
        for one, other in pairs.tolist():
            expected[one] = expected[other] = min(expected[one], expected[other])
    assert groups.labels().tolist() == expected
