"""quality.duckdb: every table, view and gate over what the lake holds, swapped in whole.

Stages write Parquet and JSON and never open DuckDB, which admits one writer. This alone builds the
file, under a temporary name, and renames it: a reader keeps the file it opened, the next one sees
the new one, and a crash leaves the old one. A build begins with a copy of the present file and
reads only what the lake has got since; what it makes is equal to what a build of the whole lake
makes, which is also what happens when the file is removed.

`python -m tasks.catalogue.building LAKE` builds it without Prefect.
"""

import argparse
import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from sql.statements import in_order, question
from tasks import rows
from tasks.catalogue.deciding import decide_again
from tasks.catalogue.judging import begin, judge
from tasks.catalogue.opening import (
    CATALOGUE,
    VERSION,
    made_of,
    make_way,
    open_catalogue,
    sweep,
    take_over,
)
from tasks.catalogue.records import record_tables
from tasks.catalogue.sources import ROWS, Source, Sources, find_sources, ledger_table
from tasks.catalogue.verdicts import Check
from tasks.commands import run_command
from tasks.database import Database
from tasks.storage import Lake, open_lake

__all__ = ["CATALOGUE", "build_catalogue", "fill", "open_catalogue"]

log = logging.getLogger(__name__)

BUILD = pa.schema(
    {
        "version": pa.int32(),
        "made_of": pa.string(),
        "caplift": pa.string(),
        "files": pa.int64(),
        "files_read": pa.int64(),
        "built_at": pa.timestamp("s", tz="UTC"),
    }.items()
)


def build_catalogue(lake: Lake, *, memory_limit: str = "", check: Check | None = None) -> str:
    """Bring quality.duckdb up to date and swap it in; return its path as the lake spells it.

    Args:
        lake: what to read, and where the file appears.
        memory_limit: for DuckDB, such as "4GB"; empty leaves its default.
        check: whose gates are judged, and recorded in the lake; None records nothing.

    Raises:
        LakeError: a file is missing, damaged or of a later version, the lake cannot be written,
            or a process has the catalogue open for writing; the old one stays.
    """
    started = time.monotonic()
    sweep(lake)
    with lake.publishing(CATALOGUE) as temporary, _without_leftovers(temporary):
        take_over(lake, temporary)
        with Database(temporary, memory_limit=memory_limit) as database:
            fill(database, lake, check)
            counts = database.rows("schema/row_counts")
            (built,) = database.rows("schema/build")
        make_way(lake)
        log.info(
            "%s: %d of %d files read, %s in %.1f s",
            CATALOGUE,
            built["files_read"],
            built["files"],
            ", ".join(f"{row['n']} {row['table_name']}" for row in counts if row["n"]),
            time.monotonic() - started,
        )
    return lake.path(CATALOGUE)


def fill(database: Database, lake: Lake, check: Check | None = None) -> None:
    """Bring an open database up to date with the lake: every table, view, macro and gate result.

    Raises:
        LakeError: a file is missing, damaged or of a later version.
    """
    sources = find_sources(lake, _ledger(database))
    _update_tables(database, lake, sources)
    # v_gate_status reads gate_result, and a check reads v_auc: the views come between.
    begin(database)
    for folder, kind in (("views", "view"), ("macros", "macro table")):
        for name in in_order(folder):
            database.run(name)
            database.comment(kind, name.removeprefix(f"{folder}/"), question(name))
    judge(database, lake, check)
    _comment(database)
    database.checkpoint()


def _ledger(database: Database) -> dict[str, Source]:
    """Return the files an open database was made of; none for a new one."""
    if not database.has("source_file"):
        return {}
    return {row["path"]: Source(**row) for row in database.rows("schema/source_file")}


def _update_tables(database: Database, lake: Lake, sources: Sources) -> None:
    for kind in ROWS:
        fresh, gone = sources.fresh.get(kind.table, []), sources.gone.get(kind.table, [])
        if gone:
            database.remove(kind.table, pa.Table.from_pylist([kind.named(path) for path in gone]))
        if fresh or not database.has(kind.table):
            database.load(kind.raw, lake, fresh, kind.schema, as_view=True)
            database.insert(kind.table, f"schema/{kind.table}")
            database.drop(kind.raw)
    for name, table in record_tables(sources).items():
        database.keep(name, table)
    database.create("rule", "selection/rules")
    if not database.has("truth_label") or sources.touches("truth", "caption"):
        database.create("truth_label", "schema/truth_label")
    decide_again(database, sources)
    database.keep("source_file", ledger_table(sources))
    database.keep("build", _build(sources))


def _build(sources: Sources) -> pa.Table:
    read = sum(map(len, sources.fresh.values())) + len(sources.fresh_records)
    row = {
        "version": VERSION,
        "made_of": made_of(),
        "caplift": version("caplift"),
        "files": len(sources.now),
        "files_read": read,
        "built_at": datetime.now(UTC).replace(microsecond=0),
    }
    return rows.table_of([row], BUILD)


def _comment(database: Database) -> None:
    for row in database.rows("schema/comments"):
        table, column = row["table_name"], row["column_name"]
        kind = "column" if column else "table"
        database.comment(kind, f"{table}.{column}" if column else table, row["comment"])


@contextlib.contextmanager
def _without_leftovers(path: Path) -> Iterator[None]:
    """Remove what DuckDB keeps beside its file while it writes, should it not have come to that."""
    try:
        yield
    finally:
        Path(f"{path}.wal").unlink(missing_ok=True)


def main(arguments: Sequence[str]) -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.catalogue.building", description=build_catalogue.__doc__
    )
    parser.add_argument("lake", help="the lake's root: a folder or an fsspec URL")
    parser.add_argument("--memory-limit", default="", help="for DuckDB, such as 4GB")
    given = parser.parse_args(arguments)
    log.info(build_catalogue(open_lake(given.lake), memory_limit=given.memory_limit))


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
