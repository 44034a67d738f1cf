"""Candidates out of URL tables: parquet, csv, tsv, json, jsonl or txt, plain or .gz, on any store.

Column names are img2dataset's and LAION's, in upper or lower case, unless others are chosen. A
table is read row group by row group or line by line, and of parquet only the columns in use.
"""

import csv
import functools
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import InputError
from tasks.ingestion.pictures.blurring import boxes_of
from tasks.ingestion.sources.additional import storable
from tasks.ingestion.sources.candidates import Candidate
from tasks.ingestion.sources.columns import Columns, Names, Seen, all_there, found_columns
from tasks.ingestion.sources.places import TABLES, files_of, named, open_bytes, open_text, reading
from tasks.ingestion.verifying import is_hash

ROWS_A_READ = 10_000
BUFFER_BYTES = 1 << 20  # of each column of parquet; without it a row group's column is read whole
END = "\ufdd0"  # stands behind a CSV; no text may hold it (Unicode, section 23.7)
CHARS_A_READ = 1 << 20
MAX_OBJECT_CHARS = 16 << 20
BLANKS = re.compile(r"[ \t\r\n]*+")
BETWEEN = re.compile(r"[ \t\r\n,]*+")
# What damaged parquet, CSV and JSON end with, beside what damaged files do.
DAMAGE = (pa.ArrowException, csv.Error, RecursionError)

Opened = Callable[[str], IO[str]]
Cells = tuple[Any, Any, Any, dict[str, Any]]  # URL, text or texts, hash, additional columns


def table_candidates(
    place: str, columns: Columns | None = None, input_format: str = ""
) -> Iterator[Candidate]:
    """Yield the candidates of a table, or of all tables of a folder or a pattern, in order.

    A list of captions gives one candidate each.

    Args:
        place: of the tables.
        columns: that are read.
        input_format: what they are, such as "csv.gz"; empty: what their names say.

    Raises:
        InputError: a table is missing, damaged, of an unknown kind or lacks a column; none of them
            has a row.
    """
    chosen = columns or Columns()
    count = 0
    suffix = f".{input_format}" if input_format else ""
    for path in files_of(place, (suffix,) if suffix else TABLES):
        read = functools.partial(_reader_of(path, suffix or named(path)), columns=chosen)
        for cells in reading("URL table", path, read, DAMAGE):
            count += 1
            yield from _candidates(path, count, cells, chosen.bbox)
    if not count:
        raise InputError(f"the URL table {place} is empty; it wants rows with a url and a caption")


def _reader_of(path: str, called: str) -> Callable[..., Iterable[Cells]]:
    """Return what reads a table that is called so."""
    name = called.removesuffix(".gz")
    opened = functools.partial(open_text, is_packed=called.endswith(".gz"))
    readers: dict[str, Callable[..., Iterable[Cells]]] = {
        ".parquet": _parquet,
        ".csv": functools.partial(_separated, opened=opened, separator=","),
        ".tsv": functools.partial(_separated, opened=opened, separator="\t"),
        ".jsonl": functools.partial(_objects, opened=opened, objects_of=_json_lines),
        ".ndjson": functools.partial(_objects, opened=opened, objects_of=_json_lines),
        ".json": functools.partial(_objects, opened=opened, objects_of=_json_list),
        ".txt": functools.partial(_lines, opened=opened),
    }
    for suffix, reader in readers.items():
        if name.endswith(suffix):
            return reader
    raise InputError(
        f"{path} is no URL table; its name ends in one of {', '.join(readers)}, or input_format "
        "says what it is"
    )


def _parquet(path: str, *, columns: Columns) -> Iterator[Cells]:
    with open_bytes(path) as file:
        # On this thread: see `tasks.rows.read_rows`.
        table = pq.ParquetFile(file, pre_buffer=False, buffer_size=BUFFER_BYTES)
        schema = table.schema_arrow
        names = all_there(path, schema.names, found_columns(path, schema.names, columns))
        used = {name for name in (names.url, names.caption, names.hash) if name}
        used |= {here for _, here in names.additional}
        if twice := [name for name in used if schema.names.count(name) > 1]:
            raise InputError(f"{path} has several columns called {twice[0]!r}; rename all but one")
        kinds = {name: schema.field(here).type for name, here in names.additional}
        columns.additional.see_types(path, kinds)
        for batch in table.iter_batches(ROWS_A_READ, columns=sorted(used), use_threads=False):
            nothing = [None] * batch.num_rows
            url, text, digest = (
                batch.column(name).to_pylist() if name else nothing
                for name in (names.url, names.caption, names.hash)
            )
            kept = {name: batch.column(here).to_pylist() for name, here in names.additional}
            more = (dict(zip(kept, values, strict=True)) for values in zip(*kept.values()))  # noqa: B905
            yield from zip(url, text, digest, more if kept else [{}] * batch.num_rows, strict=True)


def _separated(path: str, *, opened: Opened, separator: str, columns: Columns) -> Iterator[Cells]:
    csv.field_size_limit(MAX_OBJECT_CHARS)
    with opened(path) as file:
        lines = filter(None, csv.reader(itertools.chain(file, (END,)), delimiter=separator))
        header = next(lines)
        if header == [END]:
            return
        names = all_there(path, header, found_columns(path, header, columns))
        url, text, digest = (
            header.index(name) if name else len(header)
            for name in (names.url, names.caption, names.hash)
        )
        more = [(name, header.index(here)) for name, here in names.additional]
        blank = [""] * len(header)
        for number, line in enumerate(lines, start=1):
            if END in line[-1]:
                if line == [END]:
                    return
                raise InputError(
                    f"row {number} of {path} opens a quote that nothing closes; the rest of the "
                    "table would be its text"
                )
            cells = [*[*line, *blank][: len(header)], ""]
            kept = {name: cells[at] for name, at in more}
            for name, cell in kept.items():
                columns.additional.see_cell(name, cell)
            yield cells[url], cells[text], cells[digest], kept


def _objects(
    path: str,
    *,
    opened: Opened,
    objects_of: Callable[[str, IO[str]], Iterator[Any]],
    columns: Columns,
) -> Iterator[Cells]:
    @functools.lru_cache(64)
    def names_of(keys: tuple[str, ...]) -> Names:
        return found_columns(path, keys, columns)

    seen = Seen(path, columns.additional)
    with opened(path) as file:
        for number, row in enumerate(objects_of(path, file), start=1):
            if not isinstance(row, Mapping):
                raise InputError(f"row {number} of {path} is no JSON object: {row!s:.80}")
            names = names_of(tuple(row))
            kept = {name: storable(row.get(here)) for name, here in names.additional}
            seen.row(row, names, kept)
            yield row[names.url], row.get(names.caption), row.get(names.hash), kept
    seen.end()


def _json_lines(path: str, file: IO[str]) -> Iterator[Any]:  # noqa: ARG001  # as of a list
    for line in file:
        if line.strip():
            yield json.loads(line)


def _json_list(path: str, file: IO[str]) -> Iterator[Any]:
    """Yield the objects of a JSON list without holding the list."""
    decoder = json.JSONDecoder()
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
            if behind := (held[position + 1 :] + file.read(CHARS_A_READ)).strip():
                raise InputError(f"the URL table {path} goes on after its list: {behind[:20]!r}")
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


def _lines(path: str, *, opened: Opened, columns: Columns) -> Iterator[Cells]:
    there = tuple((name, "") for name in columns.additional.names)
    all_there(path, ("url",), Names("url", "", "", there))
    with opened(path) as file:
        for line in file:
            if line.strip():
                yield line, None, None, {}


def _candidates(path: str, number: int, cells: Cells, bbox: str) -> Iterator[Candidate]:
    url, texts, digest, additional = cells
    expected = _text(digest).lower()
    if expected and not is_hash(expected):
        raise InputError(
            f"row {number} of {path} has the hash {expected[:40]!r}, which is no md5, sha1, sha256 "
            "or sha512 in hex; choose another column with hash_col, or none"
        )
    try:
        boxes = boxes_of(additional[bbox]) if bbox else ()
    except ValueError as error:
        raise InputError(
            f"row {number} of {path} has in {bbox!r} what is not blurred: {error}; bbox_col wants "
            "lists of [x_min, y_min, x_max, y_max] in parts of the picture's width and height"
        ) from error
    for text in (texts or [None]) if isinstance(texts, list) else [texts]:
        yield Candidate(
            _text(url), _text(text), "", "", expected, additional=additional, boxes=boxes
        )


def _text(value: Any) -> str:
    """Return a cell as text that every table can hold; lone surrogates become question marks."""
    if value is None or value != value:  # NaN, as pandas writes what is missing
        return ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip().encode("utf-8", "replace").decode()
