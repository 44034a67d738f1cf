"""Which files the catalogue is made of, and which of them it has not read yet.

The catalogue keeps a ledger (`source_file`): every file it was made of with a mark that changes
when the file does, and what the JSON ones said. A build lists the lake, reads what the ledger does
not know, and forgets what is gone; listing costs a request a folder, not one a file. A file of rows
counts when a commit record names it: what a killed stage has left behind is no part of the lake.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from tasks import rows
from tasks.canary.record import CANARIES
from tasks.errors import LakeError
from tasks.storage import FORMAT, Lake

TRAINING = pa.schema({"step": pa.int64(), "name": pa.string(), "value": pa.float64()}.items())
PLANNED = pa.schema({"key": pa.string()}.items())
SOURCE_FILE = pa.schema(
    {"path": pa.string(), "mark": pa.string(), "table": pa.string(), "content": pa.string()}.items()
)


@dataclass(frozen=True)
class RowFiles:
    """A table that is read from Parquet files.

    Attributes:
        table: its name; `sql/schema/<table>.sql` makes it of the view `raw`.
        raw: the view of the files' rows.
        pattern: where they lie; what stands in braces are columns of the table.
        schema: the columns they have.
        how: what says that a file is whole: the `commit` that names it, the `plan` that counts
            it, or nothing but its name.
    """

    table: str
    raw: str
    pattern: str
    schema: pa.Schema
    how: str = "commit"

    @property
    def glob(self) -> str:
        """The pattern as a file system takes it."""
        return re.sub(r"\{\w+\}", "*", self.pattern)

    @cached_property
    def _parts(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.pattern)))

    def named(self, path: str) -> dict[str, str] | None:
        """Return the columns a path gives; None when it is no file of this table."""
        found = self._parts.fullmatch(path)
        return found.groupdict() if found else None


ROWS = (
    RowFiles("planned", "raw_plan", "plans/{batch}/{shard}.parquet", PLANNED, "plan"),
    RowFiles("sample", "raw_web", "web/{batch}/{shard}.parquet", rows.WEB),
    RowFiles(
        "duplicate", "raw_duplicate", "duplicates/ingestion/{batch}/00000.parquet", rows.DUPLICATES
    ),
    RowFiles("caption", "raw_caption", "captions/{run}/{batch}/{shard}.parquet", rows.CAPTIONS),
    RowFiles("score", "raw_score", "scores/{run}/{batch}/{shard}.parquet", rows.SCORES),
    RowFiles(
        "decision", "raw_decision", "decisions/{selection}/{batch}/{shard}.parquet", rows.DECISIONS
    ),
    RowFiles(
        "selected",
        "raw_selected",
        "selections/{selection}/{batch}/{shard}.parquet",
        rows.SELECTIONS,
    ),
    RowFiles("canary", "raw_canary", "canaries/{run}/{batch}/{shard}.parquet", CANARIES),
    RowFiles("truth", "raw_truth", "truth/{batch}.parquet", rows.TRUTH, "name"),
    RowFiles("training", "raw_training", "metrics/{run}.parquet", TRAINING, "name"),
)
# JSON by the table it becomes; `plan` says how many shards of a plan count.
RECORDS = {
    "stage_run": "commits/*/*/*/*.json",
    "selection": "selections/*/selection.json",
    "evaluation": "evaluations/*/metrics.json",
    "model": "checkpoints/*/*/checkpoint.json",
    "machine": "rbms/*/rbm.json",
    "version": "registrations/*/*.json",
    "run": "runs/*/*.json",
    "plan": "plans/*/plan.json",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A file the catalogue is made of; `content` is the text of a JSON one."""

    path: str
    mark: str
    table: str
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """Every file the catalogue has to be made of, and what differs from what it was made of.

    Attributes:
        now: the files by path.
        fresh: Parquet files to read, by table: new ones and changed ones.
        gone: Parquet files whose rows have to go, by table: removed ones and changed ones.
        fresh_records: paths of JSON files that were read now.
    """

    now: dict[str, Source]
    fresh: dict[str, list[str]] = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=dict)
    fresh_records: frozenset[str] = frozenset()

    def records(self, table: str) -> list[tuple[str, Any]]:
        """Return path and value of every JSON file of a table, in path order."""
        found = (one for _, one in sorted(self.now.items()) if one.table == table)
        return [(one.path, json.loads(one.content or "")) for one in found]

    def touches(self, *tables: str) -> bool:
        """True when a file of one of these tables came, changed or went."""
        return any(self.fresh.get(table) or self.gone.get(table) for table in tables)

    def listed(self) -> list[tuple[str, dict[str, str]]]:
        """Return table and columns of every file of rows."""
        return [
            (kind.table, kind.named(path) or {})
            for kind in ROWS
            for path, one in self.now.items()
            if one.table == kind.table
        ]

    def touched(self) -> list[tuple[str, dict[str, str]]]:
        """Return table and columns of every file of rows that came, changed or went."""
        return [
            (kind.table, kind.named(path) or {})
            for kind in ROWS
            for path in (*self.fresh.get(kind.table, ()), *self.gone.get(kind.table, ()))
        ]


def find_sources(lake: Lake, known: Mapping[str, Source]) -> Sources:
    """List the lake and compare it with the ledger; of JSON files, new ones are read.

    Args:
        lake: where to look.
        known: the ledger; empty for a catalogue that is built anew.

    Raises:
        LakeError: a committed file is missing, a JSON file is damaged or of a later version.
    """
    lake.fs.invalidate_cache()  # an object store's listing is remembered, and others write too
    records = _records(lake, known)
    files = _row_files(lake, records)
    fresh: dict[str, list[str]] = {}
    gone: dict[str, list[str]] = {}
    for path, one in files.items():
        if path not in known or known[path].mark != one.mark:
            fresh.setdefault(one.table, []).append(path)
    for path, old in known.items():
        if old.content is None and (path not in files or files[path].mark != old.mark):
            gone.setdefault(old.table, []).append(path)
    read = frozenset(path for path, one in records.items() if known.get(path) != one)
    return Sources({**records, **files}, fresh, gone, read)


def ledger_table(sources: Sources) -> pa.Table:
    """Return the ledger as the catalogue keeps it."""
    listed = [
        {"path": one.path, "mark": one.mark, "table": one.table, "content": one.content}
        for _, one in sorted(sources.now.items())
    ]
    return rows.table_of(listed, SOURCE_FILE)


def _records(lake: Lake, known: Mapping[str, Source]) -> dict[str, Source]:
    found = {
        path: Source(path, mark, table)
        for table, pattern in RECORDS.items()
        for path, mark in _listed(lake, pattern).items()
    }
    same = {p: known[p] for p, one in found.items() if p in known and known[p].mark == one.mark}
    read = _contents(lake, sorted(found.keys() - same.keys()))
    # What was removed between listing and reading is as if it had never been there.
    new = {p: Source(p, found[p].mark, found[p].table, text) for p, text in read.items()}
    return {**same, **new}


def _contents(lake: Lake, paths: list[str]) -> dict[str, str]:
    """Read many small files, an object store's all at once."""
    if not paths:
        return {}
    full = {lake.path(path): path for path in paths}
    texts: dict[str, str] = {}
    for name, content in lake.fs.cat(list(full), on_error="return").items():
        if isinstance(content, FileNotFoundError):
            continue
        if isinstance(content, Exception):
            raise content
        texts[full[name]] = _checked(lake, full[name], content)
    return texts


def _checked(lake: Lake, path: str, content: bytes) -> str:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise LakeError(
            f"{path} in {lake.root} is not whole ({error}); remove it and run its stage again"
        ) from error
    later = value.get("format", 1) if path.startswith("commits/") else 1
    if later > FORMAT:
        raise LakeError(
            f"{path} in {lake.root} is of format {later} and this Caplift reads up to {FORMAT}: "
            "use the version that wrote it"
        )
    return content.decode()


def _row_files(lake: Lake, records: Mapping[str, Source]) -> dict[str, Source]:
    committed = _committed(records)
    counted = {
        path.split("/")[1]: int(json.loads(one.content or "")["shards"])
        for path, one in records.items()
        if one.table == "plan"
    }
    found: dict[str, Source] = {}
    for kind in ROWS:
        there = _listed(lake, kind.glob)
        wanted = set(there)
        if kind.how == "commit":
            wanted = {path for path in committed if kind.named(path) is not None}
            _require(lake, sorted(wanted - there.keys()), committed)
        elif kind.how == "plan":
            wanted = {path for path in there if _is_counted(kind, path, counted)}
        found |= {path: Source(path, there[path], kind.table) for path in sorted(wanted)}
    return found


def _committed(records: Mapping[str, Source]) -> dict[str, str]:
    """Return the files that commit records name, each with its record."""
    return {
        file["path"]: path
        for path, one in records.items()
        if one.table == "stage_run"
        for file in json.loads(one.content or "")["files"]
    }


def _is_counted(kind: RowFiles, path: str, counted: Mapping[str, int]) -> bool:
    parts = kind.named(path) or {}
    shard = parts["shard"]
    return shard.isdecimal() and int(shard) < counted.get(parts["batch"], 0)


def _require(lake: Lake, missing: list[str], committed: Mapping[str, str]) -> None:
    if missing:
        others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise LakeError(
            f"{missing[0]}{others} is missing in {lake.root} though {committed[missing[0]]} names "
            "it; remove that record and run its stage again, or put the file back"
        )


def _listed(lake: Lake, pattern: str) -> dict[str, str]:
    """Return the paths that match, each with a mark that changes when the file does."""
    base = lake.path("").rstrip("/") + "/"
    found = lake.fs.glob(lake.path(pattern), detail=True)
    paths = {str(path).removeprefix(base): info for path, info in found.items()}
    return {path: _mark(info) for path, info in sorted(paths.items()) if "/." not in path}


def _mark(info: Mapping[str, Any]) -> str:
    # A local disk says inode and time, S3 an ETag, Google a generation, memory a time of creation.
    names: Iterable[str] = ("ino", "mtime", "ETag", "generation", "etag", "LastModified", "created")
    return ":".join(str(info[name]) for name in ("size", *names) if info.get(name) is not None)
