"""The statements of this folder by name; they are read from the package, so a wheel works too."""

from functools import cache
from importlib import resources


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
