"""The options of the command: one for every setting, with the words of its docstring."""

import argparse
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar, cast, get_type_hints

from tasks.ingestion.spellings import listed

Settings = TypeVar("Settings")


def described(settings: type[Any]) -> dict[str, str]:
    """Return what the docstring of a class of settings says of each of its attributes."""
    text = (settings.__doc__ or "").partition("Attributes:")[2]
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", text, re.MULTILINE)
    return {name: " ".join(said.split()).rstrip(".") for name, said in found}


def add_options(
    parser: argparse.ArgumentParser, settings: type[Any], without: tuple[str, ...] = ()
) -> None:
    """Add an option for every field of a class of settings but those in `without`."""
    help_of = described(settings)
    group = parser.add_argument_group((settings.__doc__ or "").splitlines()[0].rstrip("."))
    hints = get_type_hints(settings)
    for field in fields(settings):
        if field.name not in without:
            given: dict[str, Any] = {"default": _default(field), "help": help_of[field.name]}
            kind = hints[field.name]
            if kind is bool:
                given["action"] = argparse.BooleanOptionalAction
            elif kind in (int, float, str):
                given |= {"type": kind, "metavar": kind.__name__.upper()}
            else:
                given |= {"type": listed, "metavar": "A,B,…"}
            group.add_argument(f"--{field.name.replace('_', '-')}", **given)


def settings_from_options(
    settings: type[Settings], given: Mapping[str, Any], **more: Any
) -> Settings:
    """Build settings from parsed options.

    Raises:
        InputError: a value is out of its range.
    """
    known = {field.name for field in fields(cast(Any, settings))}
    chosen = {name: value for name, value in given.items() if name in known}
    return settings(**{**chosen, **more})


def _default(field: "Field[Any]") -> Any:
    return None if field.default is MISSING else field.default
