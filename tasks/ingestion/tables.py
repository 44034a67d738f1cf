"""Candidates out of URL tables: parquet, csv, tsv, jsonl or txt, plain or .gz, any fsspec URL.

Column names are img2dataset's and LAION's, in upper or lower case.
"""

import csv
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import InputError
from tasks.ingestion.candidates import Candidate

URL_COLUMNS = ("url", "image_url", "src", "link")
TEXT_COLUMNS = ("caption", "captions", "text", "texts", "alt", "title")
HASH_COLUMNS = ("sha256",)
ROWS_A_READ = 10_000
# Damaged Parquet, CSV, files, and .gz that end early or are none. ValueError: no UTF-8, no JSON, an
# address of an unknown protocol; ImportError: one whose library is not installed.
UNREADABLE = (
    pa.ArrowException,
    csv.Error,
    ValueError,
    ImportError,
    OSError,
    EOFError,
    zlib.error,
)

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".txt")

Rows = Iterator[Mapping[str, Any]]


def table_candidates(path: str) -> Iterator[Candidate]:
    """Yield the candidates of a table in order; a list of captions gives one candidate each.

    Raises:
        InputError: it is missing, empty, damaged, of an unknown kind or has no column of URLs.
    """
    read = _reader_of(path)
    count = 0
    try:
        for row in read(path):
            count += 1
            yield from _candidates(path, row)
    except FileNotFoundError as error:
        raise InputError(f"the URL table {path} does not exist") from error
    except UNREADABLE as error:
        said = " ".join(str(error).split())[:120]
        raise InputError(
            f"the URL table {path} cannot be read after {count} rows ({said}); is it whole, in "
            "UTF-8 and of the kind that its name says?"
        ) from error
    if not count:
        raise InputError(f"the URL table {path} is empty; it wants rows with a url and a caption")


def is_table(path: str) -> bool:
    """True when a path is named like a URL table."""
    return path.lower().removesuffix(".gz").endswith(SUFFIXES)


def _reader_of(path: str) -> Callable[[str], Rows]:
    name = path.lower().removesuffix(".gz")
    readers: dict[str, Callable[[str], Rows]] = {
        ".parquet": _parquet,
        ".csv": lambda p: _separated(p, ","),
        ".tsv": lambda p: _separated(p, "\t"),
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".txt": _lines,
    }
    for suffix, reader in readers.items():
        if name.endswith(suffix):
            return reader
    raise InputError(f"{path} is no URL table; its name ends in one of {', '.join(readers)}")


def _parquet(path: str) -> Rows:
    with fsspec.open(path, "rb") as file:
        for batch in pq.ParquetFile(file, pre_buffer=False).iter_batches(
            ROWS_A_READ, use_threads=False
        ):
            yield from batch.to_pylist()


def _open_text(path: str) -> TextIO:
    opened = fsspec.open(path, "rb", compression="gzip" if path.lower().endswith(".gz") else None)
    return io.TextIOWrapper(opened.open(), encoding="utf-8-sig", newline="")


def _separated(path: str, separator: str) -> Rows:
    with _open_text(path) as file:
        yield from csv.DictReader(file, delimiter=separator)


def _json_lines(path: str) -> Rows:
    with _open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            row = json.loads(line)
            if not isinstance(row, dict):
                raise InputError(f"line {number} of {path} is no JSON object: {line.strip():.80}")
            yield row


def _lines(path: str) -> Rows:
    with _open_text(path) as file:
        for line in file:
            if line.strip():
                yield {"url": line.strip()}


def _candidates(path: str, given: Mapping[str, Any]) -> Iterator[Candidate]:
    row = {str(name).strip().lower(): value for name, value in given.items()}
    column = next((name for name in URL_COLUMNS if name in row), None)
    if column is None:
        raise InputError(
            f"the URL table {path} has columns {', '.join(row)[:200]}; "
            f"one of them must be called {' or '.join(URL_COLUMNS)}"
        )
    expected = next((str(row[name]) for name in HASH_COLUMNS if row.get(name)), "")
    values = next((row[name] for name in TEXT_COLUMNS if row.get(name)), "")
    for text in values if isinstance(values, list) else [values]:
        yield Candidate(_text(row[column]), _text(text), "", "", expected)


def _text(value: Any) -> str:
    """Return a cell as text that every table can hold; lone surrogates become question marks."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip().encode("utf-8", "replace").decode()
