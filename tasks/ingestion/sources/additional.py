"""Columns of URL tables that are carried along into rows and samples, with the types they had.

Parquet says its types. CSV and JSON do not: a column's type is then the narrowest one that all its
values fit, in every table of the batch, and it is known once the last row is read.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tasks import rows
from tasks.errors import InputError

# img2dataset's own columns, beside those of our rows and plans, and what the catalogue adds.
RESERVED = frozenset({*rows.WEB.names, *rows.PLANS.names, "md5", "sha512", "filename"})
MAX_INT64 = 2**63 - 1
# A whole number is written without a zero before it: `007` is somebody's name and stays text.
WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
NUMBER = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|[+-]?inf", re.IGNORECASE
)
PADDED = re.compile(r"[+-]?0[0-9]|\+")
TRUTH = {"true": True, "false": False}
TEXT = "text"


def check_names(names: Sequence[str]) -> None:
    """Refuse names that our own columns have.

    Raises:
        InputError: one is taken or empty.
    """
    taken = [n for n in names if not n or n in RESERVED or n.lower() == "filename"]
    if taken:
        raise InputError(
            f"save_additional_columns and bbox_col cannot keep {', '.join(map(repr, taken))}: the "
            "rows have columns of their own by these names; rename them in the table"
        )


class AdditionalColumns:
    """The names to carry along, and what is known of their types so far."""

    def __init__(
        self,
        names: Iterable[str] = (),
        types: "pa.Schema | None" = None,
        besides: Sequence[str] = (),
    ) -> None:
        """Begin with names, or with what a plan says of the columns besides its own."""
        known = {f.name: f.type for f in types or () if f.name not in besides}
        self.names = tuple(dict.fromkeys([*names, *known]))
        self._types: dict[str, pa.DataType] = known
        self._texts: dict[str, set[str]] = {}

    def see_types(self, path: str, types: Mapping[str, pa.DataType]) -> None:
        """Take the types that a table says.

        Raises:
            InputError: another table has values of another kind there.
        """
        for name, kind in types.items():
            self._types[name] = _joined(path, name, self._types.get(name, pa.null()), kind)

    def see_values(self, path: str, values: Mapping[str, Sequence[Any]]) -> None:
        """Take the types of some rows' values, as Python has them out of JSON.

        Raises:
            InputError: they are of several kinds.
        """
        for name, column in values.items():
            try:
                kind = pa.array(column).type
            except (pa.ArrowException, OverflowError) as error:
                raise InputError(
                    f"the column {name!r} of {path} holds values of several kinds, or numbers "
                    f"beyond 64 bits ({error!s:.100}); give it one kind, such as text"
                ) from error
            self.see_types(path, {name: kind})

    def see_cell(self, name: str, cell: str) -> None:
        """Note what a cell of CSV can be read as."""
        possible = self._texts.setdefault(name, {"int64", "double", "bool"})
        if possible and (cell := cell.strip()):
            possible &= _readings(cell)

    def schema(self) -> pa.Schema:
        """Return names and types as the values seen so far have them.

        Raises:
            InputError: CSV has text where another table has numbers.
        """
        return pa.schema([pa.field(name, self._type(name)) for name in self.names])

    def beside(self, known: pa.Schema, text: str = "") -> pa.Schema:
        """Return a schema with these columns behind its own, and one of text if it lacks that."""
        more = [pa.field(text, pa.string())] if text and text not in known.names else []
        return pa.schema([*known, *more, *self.schema()])

    def _type(self, name: str) -> pa.DataType:
        known = self._types.get(name, pa.null())
        if name not in self._texts:
            return pa.string() if pa.types.is_null(known) else known
        possible = self._texts[name]
        narrowest = next((kind for kind in ("bool", "int64", "double") if kind in possible), "")
        if pa.types.is_null(known):
            # A column of CSV in which nothing stands can be read as anything.
            is_blank = len(possible) == 3
            return pa.type_for_alias("string" if is_blank or not narrowest else narrowest)
        if _reading_of(known) not in {*possible, TEXT}:
            raise InputError(
                f"the column {name!r} is {known} in one table and text in a CSV; give it one kind "
                "in all tables of the batch"
            )
        return known


def read_as(value: Any, kind: pa.DataType) -> Any:
    """Return a value as its column's type wants it: a cell of CSV becomes a number or a boolean."""
    reading = _reading_of(kind)
    if not isinstance(value, str) or reading in (TEXT, ""):
        return value
    cell = value.strip()
    if not cell:
        return None
    if reading == "bool":
        return TRUTH[cell.lower()]
    return float(cell) if reading == "double" else int(cell)


def for_json(value: Any) -> Any:
    """Return a value as JSON can say it: bytes as text, no numbers that are none."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {str(name): for_json(inner) for name, inner in value.items()}
    return [for_json(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def storable(value: Any) -> Any:
    """Return a value of JSON that every table can hold; lone surrogates become question marks."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    if isinstance(value, dict):
        return {storable(name): storable(inner) for name, inner in value.items()}
    return value


def _joined(path: str, name: str, one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds the values of both."""
    if one == other:
        return one
    schemas = [pa.schema([pa.field("x", kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except pa.ArrowException as error:
        raise InputError(
            f"the column {name!r} of {path} is {other}, and {one} in rows before; give it one kind "
            "in all tables of the batch"
        ) from error


def _readings(cell: str) -> set[str]:
    if WHOLE.fullmatch(cell) and abs(int(cell)) <= MAX_INT64:
        return {"int64", "double"}
    if NUMBER.fullmatch(cell) and not PADDED.match(cell):
        # More digits than int64 has are an id, which a float would change.
        return {"double"} if not cell.lstrip("-").isdecimal() else set()
    return {"bool"} if cell.lower() in TRUTH else set()


def _reading_of(kind: pa.DataType) -> str:
    """Return as what a cell of CSV is read for a type, or an empty text where it cannot be."""
    tests = {
        "bool": pa.types.is_boolean,
        "int64": pa.types.is_integer,
        "double": pa.types.is_floating,
        TEXT: lambda one: pa.types.is_string(one) or pa.types.is_large_string(one),
    }
    return next((name for name, test in tests.items() if test(kind)), "")
