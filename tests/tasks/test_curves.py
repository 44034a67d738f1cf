"""A training run's curve is one table, whatever number of attempts the run took."""

from pathlib import Path

from tasks.curves import write_curve
from tasks.rows import read_rows
from tasks.storage import Lake


def test_a_resumed_run_adds_to_its_curve_and_its_later_word_holds(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    write_curve(lake, "r", [(1, "loss", 5.0), (2, "loss", 3.0)])
    write_curve(lake, "r", [(2, "loss", 2.5), (3, "loss", 1.5)])
    assert read_rows(lake, "metrics/r.parquet").to_pylist() == [
        {"step": 1, "name": "loss", "value": 5.0},
        {"step": 2, "name": "loss", "value": 2.5},
        {"step": 3, "name": "loss", "value": 1.5},
    ]


def test_a_run_that_is_done_leaves_its_curve_alone(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    write_curve(lake, "r", [])
    assert not lake.exists("metrics/r.parquet")
