"""quality.duckdb: every table, view and gate over what the lake holds, swapped in whole.

Stages write Parquet and JSON and never open DuckDB, which admits one writer. This alone builds the
file, under a temporary name, and renames it: a reader keeps the file it opened, the next one sees
the new one, and a crash leaves the old one. It can be rebuilt from the lake at any time.

`python -m tasks.catalogue.building LAKE` builds it without Prefect.
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from sql.statements import names, question
from tasks import rows
from tasks.catalogue.judging import begin, judge
from tasks.catalogue.records import read_records
from tasks.commands import run_command
from tasks.database import Database
from tasks.errors import LakeError
from tasks.storage import Lake, open_lake

log = logging.getLogger(__name__)

CATALOGUE = "quality.duckdb"

TRAINING = pa.schema({"step": pa.int64(), "name": pa.string(), "value": pa.float64()}.items())
PLANNED = pa.schema({"key": pa.string()}.items())

# Which files each raw view reads, and the columns they have.
RAW: dict[str, tuple[str, Any]] = {
    "raw_plan": ("plans/*/*.parquet", PLANNED),
    "raw_web": ("web/*/*.parquet", rows.WEB),
    "raw_caption": ("captions/*/*/*.parquet", rows.CAPTIONS),
    "raw_score": ("scores/*/*/*.parquet", rows.SCORES),
    "raw_decision": ("decisions/*/*/*.parquet", rows.DECISIONS),
    "raw_selection": ("selections/*/*/*.parquet", rows.SELECTIONS),
    "raw_duplicate": ("duplicates/*/*/*.parquet", rows.DUPLICATES),
    "raw_truth": ("truth/*.parquet", rows.TRUTH),
    "raw_training": ("metrics/*.parquet", TRAINING),
}
# In this order: sample_final joins those before it.
TABLES = (
    "planned",
    "sample",
    "duplicate",
    "caption",
    "score",
    "decision",
    "selected",
    "truth",
    "training",
    "sample_final",
)


def build_catalogue(lake: Lake, *, memory_limit: str = "") -> str:
    """Build quality.duckdb anew and swap it in; return its path as the lake spells it.

    Args:
        lake: what to read, and where the file appears.
        memory_limit: for DuckDB, such as "4GB"; empty leaves its default.

    Raises:
        LakeError: a Parquet file is damaged or the lake cannot be written; the old file stays.
    """
    started = time.monotonic()
    with lake.publishing(CATALOGUE) as temporary:
        with Database(temporary, memory_limit=memory_limit) as database:
            fill(database, lake)
            counts = database.rows("schema/row_counts")
        log.info(
            "%s: %s in %.1f s",
            CATALOGUE,
            ", ".join(f"{row['n']} {row['table_name']}" for row in counts if row["n"]),
            time.monotonic() - started,
        )
    return lake.path(CATALOGUE)


def fill(database: Database, lake: Lake) -> None:
    """Make every table, view, macro and gate result in an open database."""
    _make_tables(database, lake)
    # v_gate_status reads gate_result, and a check reads v_auc: the views come between.
    begin(database)
    for folder, kind in (("views", "view"), ("macros", "macro table")):
        for name in _in_order(folder):
            database.run(name)
            database.comment(kind, name.removeprefix(f"{folder}/"), question(name))
    judge(database)
    _comment(database)
    database.checkpoint()


def _make_tables(database: Database, lake: Lake) -> None:
    for name, table in read_records(lake).tables.items():
        database.keep(name, table)
    database.create("rule", "selection/rules")
    for name, (pattern, schema) in RAW.items():
        database.load(name, lake, lake.glob(pattern), schema, as_view=True)
    for name in TABLES:
        database.create(name, f"schema/{name}")
    for name in RAW:
        database.drop(name)


def _comment(database: Database) -> None:
    for row in database.rows("schema/comments"):
        table, column = row["table_name"], row["column_name"]
        kind = "column" if column else "table"
        database.comment(kind, f"{table}.{column}" if column else table, row["comment"])


def _in_order(folder: str) -> list[str]:
    """Statements of a folder, those that others read first."""
    first = [f"{folder}/{name}" for name in ("v_labelled", "why")]
    found = names(folder)
    return [name for name in first if name in found] + [n for n in found if n not in first]


def open_catalogue(lake: Lake) -> Database:
    """Open quality.duckdb beside other readers.

    Raises:
        LakeError: the lake is on an object store, or has no catalogue yet.
    """
    path = lake.local_path(CATALOGUE)
    if not path.exists():
        raise LakeError(f"{CATALOGUE} is not in {lake.root} yet; run the quality stage")
    return Database(path, read_only=True)


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
