"""What a fit cannot use is one line that names it, an exit status of 2, and no file changes."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks import rows
from tasks.commands import run_command
from tasks.rbm.__main__ import main
from tasks.storage import Lake, Shard
from tests.vectors import PAIRS, QUICK, WIDTH, drawn_vectors, write_sides, write_vectors

FIRST = "vectors/v/web/00000.parquet"
SECOND = "vectors/v/web/00001.parquet"


def nothing(lake: Lake) -> None:
    """No vectors at all."""


def empty(lake: Lake) -> None:
    write_vectors(lake, pairs=0)


def few(lake: Lake) -> None:
    write_vectors(lake, pairs=3)


def half_written(lake: Lake) -> None:
    write_vectors(lake)
    write_vectors(lake, shard="00001")
    path = lake.local_path(SECOND)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten_inside(lake: Lake) -> None:
    write_vectors(lake)
    path = lake.local_path(FIRST)
    content = bytearray(path.read_bytes())
    content[200:3000] = bytes(2800)  # the footer is whole, the pages are not
    path.write_bytes(content)


def two_widths(lake: Lake) -> None:
    write_vectors(lake)
    write_vectors(lake, shard="00001", width=WIDTH + 2)


def holes(lake: Lake) -> None:
    images, texts = drawn_vectors(PAIRS)
    images[:3, 1] = np.nan  # 1.4 in a hundred
    write_sides(lake, images, texts, "v", Shard("web", "00000"))


def one_text(lake: Lake) -> None:
    images, texts = drawn_vectors(PAIRS)
    texts[:] = 0.1
    write_sides(lake, images, texts, "v", Shard("web", "00000"))


def column(name: str, values: Sequence[str] | None) -> Callable[[Lake], None]:
    def change(lake: Lake) -> None:
        write_vectors(lake)
        table = rows.read_rows(lake, FIRST)
        table = table.drop_columns([name])
        if values is not None:
            table = table.append_column(name, pa.array([*values] * PAIRS, pa.string()))
        rows.write_rows(lake, FIRST, table)

    return change


def command(lake: Lake, folder: Path, *more: str, run: str = "r", **changes: Any) -> int:
    settings = folder / "rbm.json"
    how = {**QUICK, "training": {"updates": 25, "chains": 31}, **changes}
    settings.write_text(json.dumps(how))
    words = [lake.root, run, "--vectors", "v", "--batch", "web", "--settings", str(settings)]
    return run_command(main, [*words, *more])


def files(lake: Lake) -> dict[str, bytes]:
    return {path: lake.read_bytes(path) for path in lake.glob("**/*.*")}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (nothing, "there are no vectors of v for web in {lake}; run embedding first"),
        (empty, "there are no vectors of v for web in {lake}; run embedding first"),
        (few, "3 pairs are too few to hold some out"),
        (half_written, SECOND + " in {lake} is not a readable Parquet file"),
        (overwritten_inside, FIRST + " in {lake} is not a readable Parquet file"),
        (two_widths, f"several models: 5 wide in {FIRST}, 7 wide in {SECOND}; embed all with one"),
        (holes, "3 of 211 vectors of v hold NaN or infinite values (the first is " + FIRST),
        (one_text, "vectors of v cannot be whitened: all columns of the second block are constant"),
        (column("key", None), f"key of {FIRST} is missing"),
        (column("key", ["row 7"]), "'row 7' is no picture's key, which has 20 hex digits"),
        (column("text_embedding", None), f"text_embedding of {FIRST} is missing, wanted is a"),
        (column("text_embedding", ["a"]), f"text_embedding of {FIRST} is string, wanted is a"),
    ],
)
def test_what_cannot_be_fitted_is_one_line_and_leaves_no_trace(
    lake: Lake,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    made: Callable[[Lake], None],
    said: str,
) -> None:
    made(lake)
    before = files(lake)
    assert command(lake, tmp_path) == 2
    line = capsys.readouterr().err
    assert said.format(lake=lake.root) in line
    assert line.count("\n") == 1
    assert files(lake) == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--device", "cuda:99"], "device 'cuda:99' cannot be used here"),
        (["--batch", "wab"], "there are no vectors of v for wab in "),
        (["--device", "meta"], "device 'meta' cannot be used here"),
        (["--batch", "w*b"], "a batch's name names one folder of the lake, which 'w*b' cannot"),
        (["--vectors", "*"], "a run's name names one folder of the lake, which '*' cannot"),
        (["--vectors", "../vectors/v"], "one folder of the lake, which '../vectors/v' cannot"),
        (["--settings", "/nowhere/rbm.json"], "/nowhere/rbm.json"),
    ],
)
def test_words_that_mean_nothing_here_are_one_line(
    lake: Lake,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    said: str,
) -> None:
    write_vectors(lake)
    before = files(lake)
    assert command(lake, tmp_path, *more) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert files(lake) == before


@pytest.mark.parametrize("run", ["", ".", "..", "../x", "a/b", "a*", "[a]"])
def test_a_name_that_no_folder_can_have_is_refused(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: str
) -> None:
    write_vectors(lake)
    before = files(lake)
    assert command(lake, tmp_path, run=run) == 2
    line = capsys.readouterr().err
    assert line == f"a run's name names one folder of the lake, which {run!r} cannot\n"
    assert files(lake) == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 2**32}, "seed is below 2 ** 32, not 4294967296"),
        ({"seed": 2**70}, "seed is below 2 ** 32, not "),
        ({"training": {"weight_decay": float("nan")}}, "weight_decay is 0 or more and finite"),
        ({"training": {"sparsity_cost": float("inf")}}, "sparsity_cost is 0 or more and finite"),
        ({"training": {"temperatures": 0}}, "temperatures is above 0 and whole, not 0"),
        ({"measured_rows": 2}, "no RBM can begin to learn from the rows of r: columns have"),
    ],
)
def test_a_setting_that_nothing_can_be_learnt_with_leaves_no_trace(
    lake: Lake,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    said: str,
) -> None:
    write_vectors(lake)
    before = files(lake)
    assert command(lake, tmp_path, **changes) == 2
    assert said in capsys.readouterr().err
    assert files(lake) == before


def test_the_largest_seed_is_learnt_with(lake: Lake, tmp_path: Path) -> None:
    write_vectors(lake)
    assert command(lake, tmp_path, seed=2**32 - 1) == 0


def test_rows_that_no_record_speaks_for_are_prepared_anew(lake: Lake, tmp_path: Path) -> None:
    """What a fit of other vectors left when it was killed before it said what they were."""
    write_vectors(lake, pairs=PAIRS + 40)
    assert command(lake, tmp_path) == 0
    for path in ("fits/r/begun.json", "fits/r/training.safetensors", "rbms/r/rbm.json"):
        lake.local_path(path).unlink()
    write_vectors(lake)
    assert command(lake, tmp_path) == 0
    metrics = lake.read_json("rbms/r/rbm.json")["metrics"]
    counted = ("training", "validation", "test", "dropped", "repeated")
    assert sum(metrics[f"{name}_rows"] for name in counted) == PAIRS
