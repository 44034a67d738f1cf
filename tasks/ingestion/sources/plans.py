"""The plan of a shard, read back."""

from dataclasses import dataclass

from tasks import rows
from tasks.errors import LakeError
from tasks.ingestion.sources.additional import AdditionalColumns
from tasks.ingestion.sources.planning import Planned
from tasks.storage import Lake, Shard


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a shard.

    Attributes:
        entries: in the order of their keys.
        kind: of the source: web or human.
        additional: the columns that the entries carry along, with their types.
    """

    entries: list[Planned]
    kind: str
    additional: AdditionalColumns


def read_plan(lake: Lake, shard: Shard) -> list[Planned]:
    """Return the planned candidates of a shard, in order.

    Raises:
        LakeError: the plan is missing or damaged.
    """
    return plan_of(lake, shard).entries


def plan_of(lake: Lake, shard: Shard) -> Plan:
    """Return the plan of a shard.

    Raises:
        LakeError: it is missing or damaged.
    """
    relative = lake.rows("plans", "", shard)
    table = rows.read_rows(lake, relative)
    if missing := set(rows.PLANS.names) - set(table.column_names) - {"boxes"}:
        raise LakeError(
            f"{relative} in {lake.root} is no plan of this version: it lacks "
            f"{', '.join(sorted(missing))}; ingest its source under another batch name"
        )
    additional = AdditionalColumns(types=table.schema, besides=rows.PLANS.names)
    entries = [
        Planned(
            row["key"],
            row["url"],
            row["page_url"],
            row["expected_hash"],
            {t["text"]: (t["page_url"], t["context"]) for t in row["texts"]},
            row["body_path"] or "",
            row["body_offset"] or 0,
            {name: row[name] for name in additional.names},
            [tuple(box) for box in row.get("boxes") or ()],
        )
        for row in table.to_pylist()
    ]
    return Plan(entries, table["source"][0].as_py(), additional)
