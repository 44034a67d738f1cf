"""Tables are loaded from Parquet with the types the stages wrote, however their text is kept."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import rows
from tasks.database import Database
from tasks.storage import Lake

TABLES = (rows.PLANS, rows.WEB, rows.CAPTIONS, rows.SCORES, rows.DUPLICATES, rows.DECISIONS)
TYPES = "select column_name, data_type from duckdb_columns() where table_name = $table"
SCHEMA = pa.schema([("batch", pa.string()), ("n", pa.int32())])


@pytest.mark.parametrize("schema", TABLES)
def test_a_table_of_no_file_has_the_types_of_one_of_a_file(
    tmp_path: Path, schema: pa.Schema
) -> None:
    pq.write_table(schema.empty_table(), tmp_path / "rows.parquet")
    with Database() as database:
        database.load("read", Lake(str(tmp_path)), ["rows.parquet"], schema)
        database.load("empty", Lake(str(tmp_path)), [], schema)
        assert database.ask(TYPES, table="empty") == database.ask(TYPES, table="read")


def test_known_text_sorts_and_reads_as_the_text_it_is(tmp_path: Path) -> None:
    texts = ["b", 'it\'s "9"', "ä", None, "Z", "10"]
    write(tmp_path, texts)
    with Database() as database:
        database.know("batch", [*filter(None, texts), "b", "never seen"])
        database.load("loaded", Lake(str(tmp_path)), ["rows.parquet"], SCHEMA)
        found = database.ask("select batch from loaded order by batch nulls last")
        assert [row["batch"] for row in found] == ["10", "Z", "b", 'it\'s "9"', "ä", None]
        assert database.ask("select n from loaded where batch || '!' = 'ä!'") == [{"n": 2}]


def test_text_that_nobody_knew_is_read_all_the_same(tmp_path: Path) -> None:
    write(tmp_path, ["web", "wob"])
    with Database() as database:
        database.know("batch", ["web"])
        database.load("loaded", Lake(str(tmp_path)), ["rows.parquet"], SCHEMA)
        found = database.ask("select batch, n from loaded order by batch desc")
    assert found == [{"batch": "wob", "n": 1}, {"batch": "web", "n": 0}]


def write(folder: Path, batches: list[str | None]) -> None:
    content = pa.table({"batch": batches, "n": range(len(batches))}, schema=SCHEMA)
    pq.write_table(content, folder / "rows.parquet")
