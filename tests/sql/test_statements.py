"""Statements say what they read, and are made in an order in which that is already there."""

import re
from collections.abc import Iterator

import pytest

from sql.statements import in_order, names, question, statement

NAMED = re.compile(r"\b(?:from|join)\s+([a-z_]\w*)")
DEFINED = re.compile(r"^\s*(\w+) as (?:materialized )?\($", re.M)
COMMENT = re.compile(r"^\s*--.*$", re.M)


def used(name: str) -> set[str]:
    """Return what a statement reads, as a reader of its text would find it."""
    text = COMMENT.sub("", statement(name))
    return set(NAMED.findall(text)) - set(DEFINED.findall(text))


def announced(name: str) -> set[str]:
    return set(re.findall(r"\w+", statement(name).splitlines()[1]))


def made() -> Iterator[str]:
    for folder in ("schema", "views", "macros"):
        yield from names(folder)


KNOWN = {name.rpartition("/")[2] for name in made()} | {"selection", "model", "rule", "stage_run"}


@pytest.mark.parametrize("name", [*names("views"), *names("macros")])
def test_the_second_line_names_everything_that_is_read(name: str) -> None:
    assert used(name) & KNOWN - announced(name) == set()


@pytest.mark.parametrize("folder", ["views", "macros"])
def test_what_another_reads_is_made_before_it(folder: str) -> None:
    order = in_order(folder)
    assert sorted(order) == sorted(names(folder))
    place = {name.rpartition("/")[2]: at for at, name in enumerate(order)}
    for name in order:
        mine = name.rpartition("/")[2]
        assert all(place[read] < place[mine] for read in used(name) & place.keys() - {mine})


@pytest.mark.parametrize("name", list(made()))
def test_the_first_line_is_a_question(name: str) -> None:
    assert question(name).endswith("?")
