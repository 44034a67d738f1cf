"""What a selection leaves in the lake: of every shard its decisions, its rows and a record."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from tasks import rows
from tasks.progress import track
from tasks.storage import Lake, Shard

if TYPE_CHECKING:  # The settings are read on hosts that have no DuckDB.
    from tasks.database import Database

STAGE = "selection"
WRITERS = 4  # threads; they wait for the disk, not for each other
# Of columns whose values are almost all different a dictionary costs and saves nothing; and nobody
# looks for a few rows by the least and greatest value of so small a file.
WRITTEN: dict[str, Any] = {
    "use_dictionary": [
        *("batch", "shard", "selection", "rule", "version", "reason", "signal"),
        *("threshold", "order", "verdict", "source"),
    ],
    "write_statistics": False,
}
NOTHING = {"captions": 0, "decisions": 0, "dropped": 0, "selected": 0}


def write_shards(
    lake: Lake, database: "Database", shards: Sequence[Shard], identity: str, started: float
) -> str:
    """Publish the decisions and the selected rows of every shard, and commit it.

    Args:
        lake: where.
        database: holds the tables that `tasks.selection` decides in.
        shards: in order; one without captions has empty files.
        identity: the selection's id.
        started: `time.monotonic()` at its begin.

    Returns:
        The digest of all selected rows, made while they are written.
    """
    counted = {
        Shard(row.pop("batch"), row.pop("shard")): row
        for row in database.rows("selection/shard_counts")
    }
    captions = database.table("selection/caption_rows")
    decisions = database.table("selection/decision_rows")
    rules = database.table("selection/rule_names")
    at_caption = at_decision = 0
    begun = []
    # A disk is slow to say that a file is safe; while it is, the next shards are written.
    with ThreadPoolExecutor(WRITERS) as writers:
        for shard in shards:
            counts = counted.get(shard, NOTHING)
            part = _Part(
                captions=captions.slice(at_caption, counts["captions"]),
                decisions=decisions.slice(at_decision, counts["decisions"]),
                rules=rules,
                counts=counts,
            )
            begun.append(writers.submit(_write_shard, lake, identity, shard, part, started))
            at_caption += counts["captions"]
            at_decision += counts["decisions"]
        digest = str(database.rows("selection/digest")[0]["digest"])
        for one in track(begun, f"writing {identity}", len(begun)):
            one.result()
    return digest


@dataclass(frozen=True, slots=True)
class _Part:
    """The captions of a shard in their places, the decisions about them, and what rules say."""

    captions: pa.Table
    decisions: pa.Table
    rules: pa.Table
    counts: Mapping[str, int]

    def selected(self) -> pa.Table:
        """Return the rows of SELECTIONS."""
        kept = self.captions.filter(self.captions.column("is_selected"))
        return kept.select(rows.SELECTIONS.names).cast(rows.SELECTIONS)

    def decided(self, selection: str, shard: Shard) -> pa.Table:
        """Return the rows of DECISIONS: what caption and rule are called is put in only here."""
        made = self.decisions
        which = pc.index_in(made.column("place"), self.captions.column("place"))
        rule = pc.index_in(made.column("order"), self.rules.column("order"))
        same = {"batch": shard.batch, "shard": shard.name, "selection": selection}
        columns = {
            **_taken(self.captions.select(["key", "caption_id"]), which),
            **_taken(self.rules, rule),
            **{name: _repeated(value, len(made)) for name, value in same.items()},
            **_columns(made.select(["value", "threshold"])),
            "verdict": pc.if_else(
                made.column("drops"), _repeated("drop", len(made)), _repeated("flag", len(made))
            ),
        }
        ordered = {name: columns[name] for name in rows.DECISIONS.names}
        return pa.table(ordered).cast(rows.DECISIONS)


def _repeated(text: str, times: int) -> pa.StringArray:
    """Do as pa.repeat() does without making a value of Arrow's: that imports pandas, .3 s."""
    content = text.encode()
    ends = np.arange(times + 1, dtype=np.int32) * np.int32(len(content))
    return pa.StringArray.from_buffers(times, pa.py_buffer(ends), pa.py_buffer(content * times))


def _taken(table: pa.Table, places: pa.ChunkedArray) -> dict[str, Any]:
    """Return columns at places; of arrays in one piece that takes a quarter of the time."""
    whole = places.combine_chunks()
    return {name: column.combine_chunks().take(whole) for name, column in _columns(table).items()}


def _columns(table: pa.Table) -> dict[str, Any]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _write_shard(lake: Lake, identity: str, shard: Shard, part: _Part, started: float) -> None:
    selected = lake.rows("selections", identity, shard)
    rows.write_rows(lake, selected, part.selected(), **WRITTEN)
    decisions = lake.rows("decisions", identity, shard)
    rows.write_rows(lake, decisions, part.decided(identity, shard), **WRITTEN)
    files = [selected, decisions]
    seconds = time.monotonic() - started
    lake.commit(STAGE, identity, shard, files=files, rows=part.counts, seconds=seconds)
