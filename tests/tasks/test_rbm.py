"""An RBM is fitted once, resumes bit for bit, refuses what it cannot use, and scores every pair."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from tasks import rows
from tasks.errors import InputError, LakeError, ModelError
from tasks.fitted import load_rbm
from tasks.pair_scores import score_pairs
from tasks.rbm import RbmFit, fit_rbm
from tasks.storage import Lake, Shard, open_lake

WIDTH, PAIRS = 5, 211
SMALL = {"hidden": 7, "updates": 100, "chains": 31, "batch_size": 64, "save_every": 50}
QUICK = {**SMALL, "ais_chains": 13, "ais_betas": 20}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"), create=True)


def write_vectors(
    lake: Lake, run: str = "v", shard: str = "00000", pairs: int = PAIRS, width: int = WIDTH
) -> None:
    generator = np.random.default_rng(int(shard) + width)
    shared = generator.normal(size=(pairs, 3))
    sides = [shared @ generator.normal(size=(3, width)) for _ in "ab"]
    noisy = [side + 0.5 * generator.normal(size=side.shape) for side in sides]
    named = [
        {"key": rows.key_of(f"{shard} {n}"), "caption_id": f"{shard}-{n}"} for n in range(pairs)
    ]
    images, texts = (side.astype(np.float32) for side in noisy)
    where = Shard("web", shard)
    rows.write_rows(
        lake, lake.rows("vectors", run, where), rows.vectors_table(named, images, texts)
    )


def fitted(lake: Lake, run: str, **changes: float) -> dict[str, torch.Tensor]:
    for _ in fit_rbm(lake, run, "v", ("web",), RbmFit(**{**QUICK, **changes})):  # type: ignore[arg-type]
        pass
    return load(lake.read_bytes(f"rbms/{run}/rbm.safetensors"))


def test_a_fit_that_stopped_halfway_ends_as_one_that_did_not(lake: Lake) -> None:
    write_vectors(lake)
    straight = fitted(lake, "straight")
    halfway = fit_rbm(lake, "stopped", "v", ("web",), RbmFit(**QUICK))  # type: ignore[arg-type]
    assert next(halfway).update == 50
    del halfway
    assert not lake.exists("rbms/stopped/rbm.json")
    resumed = fitted(lake, "stopped")
    assert straight.keys() == resumed.keys()
    for name, value in straight.items():
        assert torch.equal(value, resumed[name]), name
    assert load_rbm(lake, "straight").metrics == load_rbm(lake, "stopped").metrics


def test_a_fit_that_was_killed_ends_as_one_that_was_not(lake: Lake, tmp_path: Path) -> None:
    write_vectors(lake)
    settings = tmp_path / "rbm.json"
    settings.write_text(json.dumps({**QUICK, "updates": 1500}))
    command = [sys.executable, "-m", "tasks.rbm", lake.root, "killed", "--vectors", "v"]
    command += ["--batch", "web", "--settings", str(settings)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    state = Path(lake.root, "rbms/killed/training.safetensors")
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert state.exists()
    assert not lake.exists("rbms/killed/rbm.json")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "goes on from update" in done.stderr
    straight = fitted(lake, "straight", updates=1500)
    resumed = load(lake.read_bytes("rbms/killed/rbm.safetensors"))
    for name, value in straight.items():
        assert torch.equal(value, resumed[name]), name


def test_a_finished_fit_is_not_done_again(lake: Lake) -> None:
    write_vectors(lake)
    fitted(lake, "once")
    before = lake.read_bytes("rbms/once/rbm.safetensors")
    assert list(fit_rbm(lake, "once", "v", ("web",), RbmFit(**QUICK))) == []  # type: ignore[arg-type]
    assert lake.read_bytes("rbms/once/rbm.safetensors") == before


def test_a_run_begun_with_other_settings_is_refused(lake: Lake) -> None:
    write_vectors(lake)
    fitted(lake, "taken")
    with pytest.raises(InputError, match="taken was begun with other settings"):
        fitted(lake, "taken", hidden=11)


def test_what_was_measured_is_kept_beside_the_machine(lake: Lake) -> None:
    write_vectors(lake)
    fitted(lake, "told")
    metrics = load_rbm(lake, "told").metrics
    assert metrics["training_rows"] + metrics["validation_rows"] == PAIRS
    assert metrics["kept_columns"] == 2 * metrics["image_columns"] == 2 * WIDTH
    gain = metrics["log_likelihood"] - metrics["full_gaussian"]
    assert metrics["nats_over_full_gaussian"] == pytest.approx(gain)
    assert 1 <= metrics["ais_ess"] <= QUICK["ais_chains"]


def test_pairs_of_one_picture_are_on_one_side_of_the_split(lake: Lake) -> None:
    generator = np.random.default_rng(0)
    named = [{"key": rows.key_of(str(n // 2)), "caption_id": str(n)} for n in range(2 * PAIRS)]
    sides = [generator.normal(size=(2 * PAIRS, WIDTH)).astype(np.float32) for _ in "ab"]
    path = lake.rows("vectors", "v", Shard("web", "00000"))
    rows.write_rows(lake, path, rows.vectors_table(named, *sides))
    fitted(lake, "split")
    metrics = load_rbm(lake, "split").metrics
    assert metrics["validation_rows"] % 2 == 0
    assert metrics["training_rows"] % 2 == 0


def test_no_vectors_is_one_line_that_says_which_stage_comes_first(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"no vectors of v for web in .*; run embedding first"):
        fitted(lake, "none")


def test_too_few_pairs_are_refused(lake: Lake) -> None:
    write_vectors(lake, pairs=3)
    with pytest.raises(InputError, match="3 pairs are too few"):
        fitted(lake, "few")


def test_vectors_that_are_no_numbers_are_refused(lake: Lake) -> None:
    sides = [np.full((PAIRS, WIDTH), np.nan, dtype=np.float32) for _ in "ab"]
    named = [{"key": rows.key_of(str(n)), "caption_id": str(n)} for n in range(PAIRS)]
    path = lake.rows("vectors", "v", Shard("web", "00000"))
    rows.write_rows(lake, path, rows.vectors_table(named, *sides))
    with pytest.raises(InputError, match="211 of 211 vectors of v hold NaN"):
        fitted(lake, "nan")


def test_a_fit_that_diverges_stops_and_says_what_to_change(lake: Lake) -> None:
    write_vectors(lake)
    with pytest.raises(ModelError, match=r"diverged at update .*lower learning_rate"):
        fitted(lake, "wild", learning_rate=1e200)
    assert not lake.exists("rbms/wild/rbm.json")


def test_every_pair_is_scored_once_whatever_shard_it_is_in(lake: Lake) -> None:
    write_vectors(lake)
    write_vectors(lake, shard="00001", pairs=17)
    fitted(lake, "judge")
    shards = [Shard("web", "00000"), Shard("web", "00001")]
    for shard in shards:
        assert score_pairs(lake, "judge", "v", shard).rows == {
            "pairs": len(rows.read_rows(lake, lake.rows("vectors", "v", shard)))
        }
    tables = [rows.read_rows(lake, lake.rows("scores", "judge", shard)) for shard in shards]
    found = [row for table in tables for row in table.to_pylist()]
    assert len({row["caption_id"] for row in found}) == len(found) == PAIRS + 17
    for row in found:
        assert all(np.isfinite(row[name]) for name in ("rbm_pmi", "gaussian_pmi", "free_energy"))
        assert row["itm_probability"] is None
    before = lake.read_bytes(lake.rows("scores", "judge", shards[0]))
    score_pairs(lake, "judge", "v", shards[0])
    assert lake.read_bytes(lake.rows("scores", "judge", shards[0])) == before


def test_vectors_of_another_width_are_refused_with_both_numbers(lake: Lake) -> None:
    write_vectors(lake)
    fitted(lake, "judge")
    write_vectors(lake, run="wide", width=7)
    with pytest.raises(ModelError, match="reads 10 columns, these vectors have 14"):
        score_pairs(lake, "judge", "wide", Shard("web", "00000"))


def test_a_machine_that_is_not_there_or_damaged_is_one_line(lake: Lake) -> None:
    write_vectors(lake)
    with pytest.raises(ModelError, match="there is no fitted RBM nobody"):
        load_rbm(lake, "nobody")
    fitted(lake, "broken")
    Path(lake.root, "rbms/broken/rbm.safetensors").write_bytes(b"not tensors at all")
    with pytest.raises(ModelError, match=r"the RBM broken .* is damaged"):
        load_rbm(lake, "broken")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden": 0}, "hidden is above 0"),
        ({"ais_chains": 1}, "ais_chains is 2 or more"),
        ({"validation_share": 1.0}, "between 0 and 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        RbmFit(**{**QUICK, **changes})  # type: ignore[arg-type]
