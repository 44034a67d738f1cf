"""Settings from a JSON plan or from name=value, as strict as Prefect's parameters are."""

import json
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from tasks.errors import InputError

Settings = TypeVar("Settings")


def settings_from(kind: type[Settings], values: Any, where: str = "") -> Settings:
    """Build a settings dataclass, nested ones too, from plain JSON values.

    Raises:
        InputError: a key is unknown or a value has another type; names its dotted path.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where or kind.__name__} wants named values, got {values!r}")
    known = typing.get_type_hints(kind)
    names = [field.name for field in fields(typing.cast(Any, kind))]
    for name in values:
        if name not in names:
            raise InputError(
                f"{_dotted(where, name)} is not a setting; {kind.__name__} has {', '.join(names)}"
            )
    built = {
        name: _value(known[name], value, _dotted(where, name)) for name, value in values.items()
    }
    try:
        return kind(**built)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where or kind.__name__}: {error}") from error


def nested(given: Sequence[str]) -> dict[str, Any]:
    """Return settings such as "labels.table=a.csv" as the values of a plan.

    Raises:
        InputError: one is no name=value, or is given twice.
    """
    found: dict[str, Any] = {}
    for one in given:
        name, mark, value = one.partition("=")
        *folders, last = name.split(".")
        place = found
        for folder in folders:
            place = place.setdefault(folder, {})
        if not mark or not last or not isinstance(place, dict) or last in place:
            raise InputError(f"a setting is name=value, each once; {one!r} is not")
        place[last] = _from_text(value)
    return found


def _from_text(text: str) -> Any:
    """Return a number, truth value, list or object of JSON; anything else is a text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if not isinstance(value, str) else text


def read_plan(path: Path) -> Mapping[str, Any]:
    """Read a JSON plan.

    Raises:
        InputError: the file is missing or is not a JSON object.
    """
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the plan {path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"the plan {path} is not JSON ({error})") from error
    if not isinstance(plan, dict):
        raise InputError(f"the plan {path} is a JSON object with settings, not {plan!r:.40}")
    return plan


def _value(kind: Any, value: Any, where: str) -> Any:
    """Return `value` as `kind`: a dataclass, a tuple, an optional, or a plain type."""
    if isinstance(kind, types.UnionType):
        options = typing.get_args(kind)
        if value is None and types.NoneType in options:
            return None
        return _value(next(o for o in options if o is not types.NoneType), value, where)
    if is_dataclass(kind):
        return settings_from(typing.cast(type, kind), value, where)
    if typing.get_origin(kind) is typing.Literal:
        allowed = typing.get_args(kind)
        if value not in allowed:
            raise InputError(f"{where} is one of {', '.join(map(str, allowed))}, not {value!r}")
        return value
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where} wants a list, got {value!r}")
        return tuple(_value(typing.get_args(kind)[0], one, where) for one in value)
    return _plain(kind, value, where)


def _plain(kind: Any, value: Any, where: str) -> Any:
    """Return a str, int, float or bool, which must be what it claims to be."""
    if kind is float and type(value) is int:
        return float(value)
    # type(), not isinstance: a bool is an int to Python, and `steps: true` a mistake to a person.
    if type(value) is not kind:
        raise InputError(f"{where} wants {kind.__name__}, got {value!r}")
    return value


def _dotted(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
