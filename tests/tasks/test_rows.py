"""Rows come back as they were written, damage is one line, and reading leaves no thread behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks import rows
from tasks.errors import LakeError
from tasks.storage import Lake, open_lake

TWINS = [
    {"key": "b", "keeper": "a", "method": "sha256", "distance": 0},
    {"key": "c", "keeper": "a", "method": "phash", "distance": 3},
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


def test_a_column_that_no_schema_knows_is_a_defect() -> None:
    with pytest.raises(KeyError, match="colour"):
        rows.table_of([{"key": "a", "colour": "red"}], rows.DUPLICATES)


# A thread that holds a Python object when the interpreter ends aborts the process: the command has
# done its work and said so, and its exit code is -6.
@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_reading_leaves_no_thread_that_could_abort_the_end(lake: Lake) -> None:
    rows.write_rows(lake, "t.parquet", rows.table_of(TWINS, rows.DUPLICATES))
    program = (
        "import os, sys; from tasks import rows; from tasks.storage import Lake\n"
        "lake = Lake(sys.argv[1]); table = rows.read_rows(lake, 't.parquet')\n"
        "rows.write_rows(lake, 'u.parquet', table); before = len(os.listdir('/proc/self/task'))\n"
        "for _ in range(5): rows.read_rows(lake, 'u.parquet', ['key', 'distance'])\n"
        "import pyarrow.parquet as pq; mine = len(os.listdir('/proc/self/task')) - before\n"
        "pq.read_table(open(lake.path('u.parquet'), 'rb'))\n"
        "print(mine, len(os.listdir('/proc/self/task')) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, lake.root], capture_output=True, text=True, check=True
    )
    ours, the_usual_way = map(int, done.stdout.split())
    assert ours == 0
    assert the_usual_way > 0  # else this test could not fail
