"""A lake that an earlier version has written is read, what it lacks as null; nothing is lost."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.older import LATER
from tasks.selection import select
from tasks.storage import Lake, Shard
from tests.lakes import Painted, Text, new_lake, write_batch, write_duplicates
from tests.selecting import GOOD, blip


def made_older(lake: Lake, batch: str) -> None:
    """Take from the files of a batch what was added later, and from its records their format."""
    for file in Path(lake.root).glob(f"*/**/{batch}/*.parquet"):
        table = pq.read_table(file)
        pq.write_table(table.drop_columns(sorted(LATER.keys() & set(table.column_names))), file)
    for record in Path(lake.root, "commits").glob(f"*/*/{batch}/*.json"):
        relative = str(record.relative_to(lake.root))
        value = lake.read_json(relative)
        lake.publish_json(relative, {name: v for name, v in value.items() if name != "format"})


@pytest.mark.parametrize("older", [("web",), ("web", "other")])
def test_what_was_added_later_is_null_where_it_is_missing(
    tmp_path: Path, older: tuple[str, ...]
) -> None:
    lake = new_lake(tmp_path / "lake")
    pictures = [Painted(name=f"p{n}", texts=[Text(text=GOOD, itm=0.9)]) for n in range(5)]
    for batch in ("web", "other"):
        write_batch(lake, batch, pictures)
    write_duplicates(lake, "web", {"p1": ("p0", 2)})
    for batch in older:
        made_older(lake, batch)
    card = select(lake, blip("web", caption_runs=()))
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        measured = database.ask("select batch, count(axis_frac) as n from sample group by all")
        (copy,) = database.ask("from duplicate")
        (kept,) = database.ask("select count(*) as n from sample_final where kept")
    assert {row["batch"]: row["n"] for row in measured} == {
        batch: 0 if batch in older else 5 for batch in ("web", "other")
    }
    assert copy["keeper_batch"] == "web"
    assert kept["n"] == card.counts["selected"]
    assert lake.commit_of("ingestion", "ingestion", Shard("web", "00000")).rows["kept"] == 5
