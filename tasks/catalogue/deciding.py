"""sample_final and shard_final: of every selection, the rows of the shards that something changed.

A row is made of one caption, its picture, its scores and its decisions, and all of these are in
files of one shard: making the rows of one shard anew gives what making all of them would.
"""

from typing import Any

import pyarrow as pa

from tasks.catalogue.sources import Sources
from tasks.database import Database

STALE = pa.schema([(name, pa.string()) for name in ("selection", "batch", "shard")])
TABLES = ("sample_final", "shard_final")  # the second is made of the first


def decide_again(database: Database, sources: Sources) -> None:
    """Bring both tables up to date: the shards of every selection that something new belongs to."""
    cards = {card["id"]: (path, card) for path, card in sources.records("selection")}
    database.keep("stale", STALE.empty_table())
    for table in TABLES:
        database.insert(table, f"schema/{table}", selection="")
    there = {row["selection"] for row in database.rows("schema/decided")}
    whole = {name for name, (path, _) in cards.items() if path in sources.fresh_records}
    if outdated := sorted(there & whole | there - cards.keys()):
        for table in TABLES:
            database.remove(table, pa.table({"selection": outdated}))
    for name, (_, card) in sorted(cards.items()):
        offered = _offered(name, sources)
        if stale := offered if name in whole else _touched(card, sources):
            _redo(database, name, stale, offered)
    database.drop("stale")


def _redo(
    database: Database, selection: str, stale: set[tuple[str, str]], offered: set[tuple[str, str]]
) -> None:
    """Forget the rows of stale shards, and make them anew of those the selection was offered."""
    for table in TABLES:
        database.remove(table, _named(selection, stale))
    database.keep("stale", _named(selection, stale & offered))
    for table in TABLES:
        database.insert(table, f"schema/{table}", selection=selection)


def _named(selection: str, shards: set[tuple[str, str]]) -> pa.Table:
    listed = [dict(zip(STALE.names, (selection, *shard), strict=True)) for shard in sorted(shards)]
    return pa.Table.from_pylist(listed, schema=STALE)


def _offered(selection: str, sources: Sources) -> set[tuple[str, str]]:
    """Return batch and shard of all that a selection decided on: nothing that was put aside."""
    return {
        (named["batch"], named["shard"])
        for table, named in sources.listed()
        if table == "selected" and named["selection"] == selection
    }


def _touched(card: dict[str, Any], sources: Sources) -> set[tuple[str, str]]:
    """Return batch and shard of all files of a selection that came, changed or went."""
    return {
        (named["batch"], named["shard"])
        for table, named in sources.touched()
        if _belongs(card, table, named)
    }


def _belongs(card: dict[str, Any], table: str, named: dict[str, str]) -> bool:
    """True when a file of a table holds rows that a selection was made of, or the selection."""
    if table in ("decision", "selected"):
        return named["selection"] == card["id"]
    how = card.get("how", {})
    runs = {
        "sample": {""},
        "caption": {"ingestion", *how.get("caption_runs", ())},
        "score": {how.get("score_run"), how.get("rbm_run")},
    }
    return named.get("run", "") in runs.get(table, ()) and named["batch"] in how.get("batches", ())
