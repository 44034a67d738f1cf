"""Candidates out of URL tables: parquet, csv, tsv, json, jsonl or txt, plain or .gz, on any store.

Column names are img2dataset's and LAION's, in upper or lower case, unless others are chosen. A
table is read row group by row group or line by line, and of parquet only the columns in use.
"""

import csv
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import InputError
from tasks.ingestion.candidates import Candidate
from tasks.ingestion.places import TABLES, files_of, named, open_bytes, open_text, reading
from tasks.ingestion.verifying import is_hash

URL_COLUMNS = ("url", "image_url", "src", "link")
TEXT_COLUMNS = ("caption", "captions", "text", "texts", "alt", "title")
HASH_COLUMNS = ("sha256", "sha512", "md5")
NONE = "none"  # chosen in place of a column: do not look for one
ROWS_A_READ = 10_000
BUFFER_BYTES = 1 << 20  # of each column of parquet; without it a row group's column is read whole
CHARS_A_READ = 1 << 20
MAX_OBJECT_CHARS = 16 << 20
BLANKS = re.compile(r"[ \t\r\n]*+")
BETWEEN = re.compile(r"[ \t\r\n,]*+")
# What damaged parquet, CSV and JSON end with, beside what damaged files do.
DAMAGE = (pa.ArrowException, csv.Error, RecursionError)

Cells = tuple[Any, Any, Any]  # URL, text or texts, hash


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns a person chose; an empty name means: find it by the usual names.

    Attributes:
        url: of the addresses.
        caption: of the text or the list of texts, or "none".
        hash: of md5, sha1, sha256 or sha512 in hex, or "none".
    """

    url: str = ""
    caption: str = ""
    hash: str = ""


def table_candidates(place: str, columns: Columns | None = None) -> Iterator[Candidate]:
    """Yield the candidates of a table, or of all tables of a folder or a pattern, in order.

    A list of captions gives one candidate each.

    Raises:
        InputError: a table is missing, damaged, of an unknown kind or lacks a column; none of them
            has a row.
    """
    chosen = columns or Columns()
    count = 0
    for path in files_of(place, TABLES):
        read = functools.partial(_reader_of(path), columns=chosen)
        for cells in reading("URL table", path, read, DAMAGE):
            count += 1
            yield from _candidates(path, count, cells)
    if not count:
        raise InputError(f"the URL table {place} is empty; it wants rows with a url and a caption")


def _reader_of(path: str) -> Callable[..., Iterable[Cells]]:
    name = named(path).removesuffix(".gz")
    readers: dict[str, Callable[..., Iterable[Cells]]] = {
        ".parquet": _parquet,
        ".csv": functools.partial(_separated, separator=","),
        ".tsv": functools.partial(_separated, separator="\t"),
        ".jsonl": functools.partial(_objects, objects_of=_json_lines),
        ".ndjson": functools.partial(_objects, objects_of=_json_lines),
        ".json": functools.partial(_objects, objects_of=_json_list),
        ".txt": _lines,
    }
    for suffix, reader in readers.items():
        if name.endswith(suffix):
            return reader
    raise InputError(f"{path} is no URL table; its name ends in one of {', '.join(readers)}")


def _found(path: str, names: Sequence[str], columns: Columns) -> tuple[str, str, str]:
    """Return the names of the columns of URLs, texts and hashes; empty where there is none."""
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    usual = {"url": URL_COLUMNS, "caption": TEXT_COLUMNS, "hash": HASH_COLUMNS}
    found = []
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
        found.append(name)
    return found[0], found[1], found[2]


def _parquet(path: str, *, columns: Columns) -> Iterator[Cells]:
    with open_bytes(path) as file:
        # On this thread: see `tasks.rows.read_rows`.
        table = pq.ParquetFile(file, pre_buffer=False, buffer_size=BUFFER_BYTES)
        names = _found(path, table.schema_arrow.names, columns)
        used = [name for name in names if name]
        for batch in table.iter_batches(ROWS_A_READ, columns=used, use_threads=False):
            nothing = [None] * batch.num_rows
            url, text, digest = (
                batch.column(name).to_pylist() if name else nothing for name in names
            )
            yield from zip(url, text, digest, strict=True)


def _separated(path: str, *, separator: str, columns: Columns) -> Iterator[Cells]:
    with open_text(path) as file:
        lines = csv.reader(file, delimiter=separator)
        header = next(lines, None)
        if header is None:
            return
        names = _found(path, header, columns)
        url, text, digest = (header.index(name) if name else len(header) for name in names)
        blank = [""] * len(header)
        for line in filter(None, lines):
            cells = [*[*line, *blank][: len(header)], ""]
            yield cells[url], cells[text], cells[digest]


def _objects(
    path: str, *, objects_of: Callable[[str], Iterator[Any]], columns: Columns
) -> Iterator[Cells]:
    @functools.lru_cache(64)
    def names_of(keys: tuple[str, ...]) -> tuple[str, str, str]:
        return _found(path, keys, columns)

    for number, row in enumerate(objects_of(path), start=1):
        if not isinstance(row, Mapping):
            raise InputError(f"row {number} of {path} is no JSON object: {row!s:.80}")
        url, text, digest = names_of(tuple(row))
        yield row[url], row.get(text), row.get(digest)


def _json_lines(path: str) -> Iterator[Any]:
    with open_text(path) as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _json_list(path: str) -> Iterator[Any]:
    """Yield the objects of a JSON list without holding the list."""
    decoder = json.JSONDecoder()
    with open_text(path) as file:
        held = file.read(CHARS_A_READ)
        position = _past(BLANKS, held, 0)
        if position < len(held) and held[position] != "[":
            raise InputError(
                f"the URL table {path} begins with {held[position:][:20]!r}; a .json table is one "
                "list of objects, [{…}, {…}], and one object a line is called .jsonl"
            )
        position += 1
        while True:
            position = _past(BETWEEN, held, position)
            if held.startswith("]", position):
                return
            try:
                found, position = decoder.raw_decode(held, position)
            except json.JSONDecodeError:
                more = file.read(CHARS_A_READ)
                if not more or len(held) - position > MAX_OBJECT_CHARS:
                    raise
                held, position = held[position:] + more, 0
            else:
                yield found


def _past(blanks: re.Pattern[str], text: str, position: int) -> int:
    found = blanks.match(text, position)
    return found.end() if found else position


def _lines(path: str, *, columns: Columns) -> Iterator[Cells]:  # noqa: ARG001  # a reader's form
    with open_text(path) as file:
        for line in file:
            if line.strip():
                yield line, None, None


def _candidates(path: str, number: int, cells: Cells) -> Iterator[Candidate]:
    url, texts, digest = cells
    expected = _text(digest).lower()
    if expected and not is_hash(expected):
        raise InputError(
            f"row {number} of {path} has the hash {expected[:40]!r}, which is no md5, sha1, sha256 "
            "or sha512 in hex; choose another column with hash_col, or none"
        )
    for text in texts if isinstance(texts, list) and texts else [texts]:
        yield Candidate(_text(url), _text(text), "", "", expected)


def _text(value: Any) -> str:
    """Return a cell as text that every table can hold; lone surrogates become question marks."""
    if value is None:
        return ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip().encode("utf-8", "replace").decode()
