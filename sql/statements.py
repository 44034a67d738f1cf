"""The statements of this folder by name; they are read from the package, so a wheel works too."""

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources

WORD = re.compile(r"\w+")


@cache
def statement(name: str) -> str:
    """Return the text of `sql/<name>.sql`.

    Raises:
        FileNotFoundError: there is no such statement.
    """
    return resources.files("sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")


@cache
def names(folder: str) -> tuple[str, ...]:
    """Return the statements of a folder as `<folder>/<stem>`, sorted."""
    entries = resources.files("sql").joinpath(folder).iterdir()
    stems = (e.name.removesuffix(".sql") for e in entries if e.name.endswith(".sql"))
    return tuple(f"{folder}/{stem}" for stem in sorted(stems))


def question(name: str) -> str:
    """Return the question that a statement answers: its first line."""
    return statement(name).splitlines()[0].removeprefix("-- ")


def in_order(folder: str) -> list[str]:
    """Return the statements of a folder, those that others read before these.

    Raises:
        ValueError: some read each other in a circle.
    """
    left = {name: _read(name) for name in names(folder)}
    ordered: list[str] = []
    while left:
        ready = [name for name, reads in left.items() if not reads & _stems(left.keys() - {name})]
        if not ready:
            raise ValueError(f"sql/{folder} has a circle among {', '.join(sorted(left))}")
        ordered += ready
        left = {name: reads for name, reads in left.items() if name not in ready}
    return ordered


def _read(name: str) -> set[str]:
    """Return the words of a statement's second line: what it reads is among them."""
    return set(WORD.findall(statement(name).splitlines()[1]))


def _stems(found: Iterable[str]) -> set[str]:
    return {name.rpartition("/")[2] for name in found}
