"""Which columns of a URL table are read, and what they are called there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.errors import InputError
from tasks.ingestion.sources.additional import AdditionalColumns

URL_COLUMNS = ("url", "image_url", "src", "link")
TEXT_COLUMNS = ("caption", "captions", "text", "texts", "alt", "title")
HASH_COLUMNS = ("sha256", "sha512", "md5")
NONE = "none"  # chosen in place of a column: do not look for one
ROWS_AT_ONCE = 10_000  # whose types are looked at


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns a person chose; an empty name means: find it by the usual names.

    Attributes:
        url: of the addresses.
        caption: of the text or the list of texts, or "none".
        hash: of md5, sha1, sha256 or sha512 in hex, or "none".
        additional: those that are carried along; what is known of their types grows with reading.
        bbox: the one of them that holds boxes to blur, if any.
    """

    url: str = ""
    caption: str = ""
    hash: str = ""
    additional: AdditionalColumns = field(default_factory=AdditionalColumns)
    bbox: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """What a table calls the columns in use; empty where it has none.

    Attributes:
        url, caption, hash: of these roles.
        additional: the names that are carried along, and what the table calls them.
    """

    url: str
    caption: str
    hash: str
    additional: tuple[tuple[str, str], ...]


def found_columns(path: str, names: Sequence[str], columns: Columns) -> Names:
    """Return what a table with columns of these names calls those that are read.

    Raises:
        InputError: it has none of addresses, or lacks one that was chosen.
    """
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    usual = {"url": URL_COLUMNS, "caption": TEXT_COLUMNS, "hash": HASH_COLUMNS}
    found = {}
    for role, known in usual.items():
        chosen = getattr(columns, role)
        name = next((by_lower[one] for one in known if one in by_lower), "")
        if chosen == NONE:
            name = ""
        elif chosen:
            name = chosen if chosen in names else by_lower.get(chosen.lower(), "")
        if not name and (role == "url" or chosen not in ("", NONE)):
            wanted = f"called {chosen!r}" if chosen else f"called {' or '.join(known)}"
            raise InputError(
                f"the URL table {path} has columns {', '.join(names)[:200]}; one of them must be "
                f"{wanted}; choose another with {role}_col"
            )
        found[role] = name
    asked = columns.additional.names
    here = [(name, name if name in names else by_lower.get(name.lower(), "")) for name in asked]
    return Names(**found, additional=tuple(here))


def all_there(path: str, names: Sequence[str], found: Names) -> Names:
    """Return what was found when every additional column is in the table."""
    if missing := [name for name, here in found.additional if not here]:
        raise InputError(
            f"the URL table {path} has columns {', '.join(names)[:200]}, and no {missing[0]!r}, "
            "which save_additional_columns or bbox_col names; every table must have it"
        )
    return found


class Seen:
    """The additional columns of rows of JSON, in which each object has its own."""

    def __init__(self, path: str, additional: AdditionalColumns) -> None:
        self._path = path
        self._additional = additional
        self._values: dict[str, list[Any]] = {name: [] for name in additional.names}
        self._missing = set(additional.names)
        self._keys: dict[str, None] = {}

    def row(self, row: Mapping[str, Any], names: Names, kept: Mapping[str, Any]) -> None:
        """Note a row, what was found in it, and the values that are kept of it."""
        if self._missing:
            self._missing -= {name for name, here in names.additional if here}
            self._keys |= dict.fromkeys(row)
        for name, value in kept.items():
            self._values[name].append(value)
        if kept and len(self._values[next(iter(kept))]) >= ROWS_AT_ONCE:
            self._flush()

    def end(self) -> None:
        """Take the types of the last rows.

        Raises:
            InputError: no row of the table has one of the columns.
        """
        self._flush()
        if self._keys:
            there = tuple((name, "" if name in self._missing else name) for name in self._values)
            all_there(self._path, tuple(self._keys), Names("", "", "", there))

    def _flush(self) -> None:
        self._additional.see_values(self._path, self._values)
        for values in self._values.values():
            values.clear()
