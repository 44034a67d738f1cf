"""Rows come back as written, damage is one line, a file is read on the thread that asks."""

import threading
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from tasks import rows
from tasks.database import Database
from tasks.errors import LakeError
from tasks.storage import Lake, open_lake
from tests.watched import reading_threads

TWINS = [
    {"key": "b", "keeper": "a", "keeper_batch": "web", "method": "sha256", "distance": 0},
    {"key": "c", "keeper": "a", "keeper_batch": "web", "method": "phash", "distance": 3},
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path), create=True)


def test_columns_come_in_the_order_they_are_asked_for(lake: Lake) -> None:
    rows.write_rows(lake, "t.parquet", rows.table_of(TWINS, rows.DUPLICATES))
    assert rows.read_rows(lake, "t.parquet").to_pylist() == TWINS
    found = rows.read_rows(lake, "t.parquet", ["distance", "key"])
    assert found.column_names == ["distance", "key"]
    assert found["distance"].to_pylist() == [0, 3]


def test_a_missing_a_damaged_and_a_foreign_file_are_one_line_each(lake: Lake) -> None:
    Path(lake.path("damaged.parquet")).write_bytes(b"PAR1 and no more")
    rows.write_rows(lake, "t.parquet", rows.table_of(TWINS, rows.DUPLICATES))
    with pytest.raises(LakeError, match=r"absent\.parquet is missing"):
        rows.read_rows(lake, "absent.parquet")
    with pytest.raises(LakeError, match=r"damaged\.parquet .* is not a readable Parquet file"):
        rows.read_rows(lake, "damaged.parquet")
    with pytest.raises(LakeError, match=r"t\.parquet .* is not a readable Parquet file .*phash"):
        rows.read_rows(lake, "t.parquet", ["key", "phash"])


def test_a_page_that_was_overwritten_is_one_line_and_a_network_that_fails_is_not(
    lake: Lake,
) -> None:
    texts = [{**TWINS[0], "key": f"{number}" * 17} for number in range(997)]
    rows.write_rows(lake, "t.parquet", rows.table_of(texts, rows.DUPLICATES))
    path = Path(lake.path("t.parquet"))
    content = bytearray(path.read_bytes())
    content[30:90] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(LakeError, match=r"t\.parquet in .* is not a readable Parquet file"):
        rows.read_rows(lake, "t.parquet")
    # What may pass by itself keeps its type, so that it is tried again.
    with pytest.raises(TimeoutError), rows.readable(lake, "t.parquet"):
        raise TimeoutError("the store does not answer")
    with pytest.raises(OSError, match="No space"), rows.readable(lake, "t.parquet"):
        raise OSError(28, "No space left on device")


def test_what_was_added_since_a_file_was_written_reads_as_null(lake: Lake) -> None:
    table = rows.table_of(TWINS, rows.DUPLICATES)
    rows.write_rows(lake, "old.parquet", table.drop_columns(["keeper_batch"]))
    rows.write_rows(lake, "new.parquet", table)
    assert rows.read_all(lake, "old.parquet", rows.DUPLICATES).schema == rows.DUPLICATES
    old, new = [None, None], ["web", "web"]
    for files, expected in ((["old"], old), (["new"], new), (["new", "old"], old + new)):
        with Database() as database:
            database.load("t", lake, [f"{file}.parquet" for file in files], rows.DUPLICATES)
            found = database.ask("select key, keeper_batch from t order by keeper_batch")
        assert sorted(str(row["keeper_batch"]) for row in found) == sorted(map(str, expected))
    asked = rows.read_rows(lake, "old.parquet", ["keeper_batch", "key"])
    assert asked.to_pydict() == {"keeper_batch": old, "key": ["b", "c"]}


def test_a_column_that_no_schema_knows_is_a_defect() -> None:
    with pytest.raises(KeyError, match="colour"):
        rows.table_of([{"key": "a", "colour": "red"}], rows.DUPLICATES)


def test_a_file_is_read_on_the_thread_that_asks(lake: Lake) -> None:
    rows.write_rows(lake, "t.parquet", rows.table_of(TWINS, rows.DUPLICATES))
    with reading_threads() as readers:
        found = rows.read_rows(Lake(f"watched://{lake.root}"), "t.parquet", ["key", "distance"])
    assert found.num_rows == len(TWINS)
    assert readers == {threading.get_ident()}


def test_pyarrow_by_itself_reads_on_another_thread(lake: Lake) -> None:
    rows.write_rows(lake, "t.parquet", rows.table_of(TWINS, rows.DUPLICATES))
    with reading_threads() as readers, fsspec.open(f"watched://{lake.root}/t.parquet") as file:
        pq.read_table(file)
    assert readers > {threading.get_ident()}
