"""An RBM is fitted once, resumes bit for bit, is measured, and refuses what it cannot use."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load
from scipy.stats import multivariate_normal  # type: ignore[import-untyped]

from models.rbm.partition import log_z_exact
from tasks.errors import InputError, LakeError, ModelError
from tasks.fitted import load_rbm
from tasks.rbm.course import saved_course
from tasks.rbm.fitting import fit_rbm
from tasks.rbm.preparing import TEST_SHARE
from tasks.rbm.settings import RbmFit
from tasks.storage import Lake, Shard, open_lake
from tasks.tensors import packed
from tasks.vectors import held_out, open_vectors
from tests.vectors import (
    PAIRS,
    QUICK,
    WIDTH,
    drawn_vectors,
    fitted,
    quick,
    write_sides,
    write_vectors,
)

FIRST = Shard("web", "00000")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake in which the fit `straight` has run to its end."""
    lake = open_lake(str(tmp_path_factory.mktemp("done") / "lake"), create=True)
    write_vectors(lake)
    fitted(lake, "straight")
    return lake


def test_a_fit_that_stopped_halfway_ends_as_one_that_did_not(done: Lake) -> None:
    lake, straight = done, load(done.read_bytes("rbms/straight/rbm.safetensors"))
    halfway = fit_rbm(lake, "stopped", "v", ("web",), quick())
    assert [next(halfway).update for _ in range(2)] == [25, 50]
    del halfway
    assert not lake.exists("rbms/stopped/rbm.json")
    resumed = fitted(lake, "stopped")
    assert straight.keys() == resumed.keys()
    for name, value in straight.items():
        assert torch.equal(value, resumed[name]), name
    states = [
        load(lake.read_bytes(f"fits/{r}/training.safetensors")) for r in ("straight", "stopped")
    ]
    for name, value in states[0].items():  # chains, optimiser and generator among them
        assert torch.equal(value, states[1][name]), name
    assert load_rbm(lake, "straight").metrics == load_rbm(lake, "stopped").metrics


@pytest.mark.slow
def test_a_fit_that_was_killed_ends_as_one_that_was_not(lake: Lake, tmp_path: Path) -> None:
    write_vectors(lake)
    settings = tmp_path / "rbm.json"
    settings.write_text(
        json.dumps({**QUICK, "patience": 99, "training": {"updates": 600, "chains": 31}})
    )
    command = [sys.executable, "-m", "tasks.rbm", lake.root, "killed", "--vectors", "v"]
    command += ["--batch", "web", "--settings", str(settings)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    state = Path(lake.root, "fits/killed/training.safetensors")
    deadline = time.monotonic() + 300
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert state.exists()
    assert not lake.exists("rbms/killed/rbm.json")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "goes on from update" in done.stderr
    straight = fitted(lake, "straight", updates=600, patience=99)
    resumed = load(lake.read_bytes("rbms/killed/rbm.safetensors"))
    for name, value in straight.items():
        assert torch.equal(value, resumed[name]), name


def test_a_state_of_another_device_or_a_damaged_one_is_one_line(lake: Lake) -> None:
    write_vectors(lake)
    halfway = fit_rbm(lake, "moved", "v", ("web",), quick())
    assert [next(halfway).update for _ in range(2)] == [25, 50]
    with pytest.raises(ModelError, match="moved was begun on cpu, whose draws meta cannot go on"):
        saved_course(lake, "moved", "meta")
    with pytest.raises(ModelError, match="device 'cuda:99' cannot be used here"):
        list(fit_rbm(lake, "moved", "v", ("web",), quick(), "cuda:99"))
    lake.publish_bytes("fits/moved/training.safetensors", packed({"learner.x": torch.zeros(1)}))
    with pytest.raises(ModelError, match=r"fits/moved/training\.safetensors in .* is damaged"):
        list(fit_rbm(lake, "moved", "v", ("web",), quick()))


def test_a_finished_fit_is_not_done_again(done: Lake) -> None:
    before = done.read_bytes("rbms/straight/rbm.safetensors")
    assert list(fit_rbm(done, "straight", "v", ("web",), quick())) == []
    assert done.read_bytes("rbms/straight/rbm.safetensors") == before


def test_a_run_begun_with_other_settings_is_refused(done: Lake) -> None:
    with pytest.raises(InputError, match="straight was begun with other settings"):
        fitted(done, "straight", hidden=11)


def test_vectors_that_were_written_anew_do_not_go_on_from_an_old_state(lake: Lake) -> None:
    write_vectors(lake)
    next(fit_rbm(lake, "begun", "v", ("web",), quick()))
    images, texts = drawn_vectors(PAIRS, seed=3)
    write_sides(lake, images, texts, "v", FIRST)
    with pytest.raises(InputError, match="begun with other settings or vectors than these"):
        fitted(lake, "begun")


def test_a_fit_that_could_not_begin_does_not_take_the_name(lake: Lake) -> None:
    with pytest.raises(LakeError):
        fitted(lake, "later")
    write_vectors(lake, pairs=3)
    with pytest.raises(InputError, match="3 pairs are too few"):
        fitted(lake, "later")
    write_vectors(lake)
    assert fitted(lake, "later", hidden=3, updates=1)["machine.weight"].shape == (2 * WIDTH, 3)


def test_what_was_measured_is_kept_beside_the_machine(lake: Lake) -> None:
    write_vectors(lake)
    fitted(lake, "told", ais_chains=257, ais_betas=300, precision="float64")
    told = load_rbm(lake, "told")
    metrics = told.metrics
    (piece,) = open_vectors(lake, "v", ("web",)).pieces(0)
    pairs, test = piece.pairs.double(), held_out(piece.keys, TEST_SHARE)
    unlearnt = held_out(piece.keys, TEST_SHARE + RbmFit().validation_share)
    inside, unseen = pairs[~unlearnt], pairs[test]
    names = ("training_rows", "validation_rows", "test_rows")
    assert [metrics[name] for name in names] == [
        len(inside),
        int((unlearnt & ~test).sum()),
        len(unseen),
    ]
    assert metrics["kept_columns"] == 2 * metrics["image_columns"] == 2 * WIDTH
    exact = log_z_exact(told.machine)
    assert metrics["log_z"] == pytest.approx(exact, abs=4 * metrics["log_z_se"] + 0.02)
    assert 0 < metrics["log_z_se"] < 0.2
    assert 1 <= metrics["ais_ess"] <= 257
    white = told.whitener.transform(unseen)
    ours = float(told.machine.log_likelihood(white, metrics["log_z"]).mean())
    assert metrics["log_likelihood"] == pytest.approx(ours, abs=1e-9)
    # The yardsticks by scipy in the vectors' own columns: nothing was cut, so the maps are square.
    volume = float(torch.linalg.slogdet(told.whitener.cut @ told.whitener.mix).logabsdet)
    spread = np.cov(inside.numpy().T, bias=True)
    full = multivariate_normal(inside.mean(0).numpy(), spread).logpdf(unseen.numpy()).mean()
    assert metrics["nats_over_full_gaussian"] == pytest.approx(ours + volume - full, abs=1e-6)
    components = np.diag(told.whitener.cut.T.numpy() @ spread @ told.whitener.cut.numpy())
    one = multivariate_normal(np.zeros(2 * WIDTH), np.diag(components))
    diagonal = one.logpdf(told.whitener.project(unseen).numpy()).mean()
    assert metrics["nats_over_diagonal_gaussian"] == pytest.approx(
        ours + volume - diagonal, abs=1e-6
    )
    assert metrics["nats_over_diagonal_gaussian"] > metrics["nats_over_full_gaussian"] + 1
    assert (metrics["hidden_off"], metrics["hidden_on"]) == (0, 0)


def test_vectors_that_are_no_numbers_are_dropped_and_counted(lake: Lake) -> None:
    images, texts = drawn_vectors(PAIRS)
    images[7, 1] = np.nan
    texts[11, 0] = np.inf
    write_sides(lake, images, texts, "v", FIRST)
    fitted(lake, "holes", updates=1)
    assert lake.read_json("rbms/holes/rbm.json")["metrics"]["dropped_rows"] == 2


def test_a_picture_under_a_second_key_does_not_judge_what_has_learnt_from_it(lake: Lake) -> None:
    """Each picture stands in two shards, so under two keys, beside another text."""
    images, texts = drawn_vectors(PAIRS)
    second = Shard("web", "00001")
    write_sides(lake, images, texts, "v", FIRST)
    write_sides(lake, images, drawn_vectors(PAIRS, seed=1)[1], "v", second)
    fitted(lake, "twice", updates=1)
    told = load_rbm(lake, "twice").metrics
    keys = [key for group in range(2) for key in files_of(lake, group)]
    unlearnt = held_out(keys, TEST_SHARE + RbmFit().validation_share)
    test = held_out(keys, TEST_SHARE)
    both = (unlearnt[:PAIRS] & unlearnt[PAIRS:]).repeat(2)
    assert told["training_rows"] == int((~unlearnt).sum())
    assert told["repeated_rows"] == int((unlearnt & ~both).sum()) > 20
    assert told["test_rows"] == told["measured_rows"] == int((test & both).sum()) > 1
    assert told["validation_rows"] == int((unlearnt & ~test & both).sum()) > 1


def files_of(lake: Lake, group: int) -> list[str]:
    (piece,) = open_vectors(lake, "v", ("web",)).pieces(group)
    return piece.keys


def test_where_every_picture_is_learnt_from_under_another_key_nothing_is_measured(
    lake: Lake,
) -> None:
    images, texts = drawn_vectors(PAIRS)
    for number in range(7):
        write_sides(lake, images, texts, "v", Shard("web", f"{number:05d}"))
    with pytest.raises(InputError, match=r"\d+ are of pictures that are learnt from under another"):
        fitted(lake, "often", updates=1)


def test_a_column_that_never_varies_is_left_out(lake: Lake) -> None:
    images, texts = drawn_vectors(PAIRS)
    images[:, 2] = 0.1
    write_sides(lake, images, texts, "v", FIRST)
    fitted(lake, "flat", updates=1)
    metrics = load_rbm(lake, "flat").metrics
    assert (metrics["image_columns"], metrics["kept_columns"]) == (WIDTH - 1, 2 * WIDTH - 1)


@pytest.mark.parametrize(
    ("rate", "cause"), [(1e30, r"gradient norm (nan|inf)"), (1.0, "all hidden units off")]
)
def test_a_fit_that_diverges_stops_with_its_last_good_state(
    lake: Lake, rate: float, cause: str
) -> None:
    write_vectors(lake)
    changes = {"learning_rate": rate, "save_every": 2, "updates": 1000, "patience": 999}
    kept = r"its last good state, of update \d+, is kept in fits/wild"
    if rate > 1:
        kept = "before its first state was saved, so none is kept"
    with pytest.raises(
        ModelError, match=rf"diverged at update \d+ \({cause}\); {kept}: lower learning_rate"
    ):
        fitted(lake, "wild", **changes)
    assert not lake.exists("rbms/wild/rbm.json")
    if lake.exists("fits/wild/training.safetensors"):
        state = load(lake.read_bytes("fits/wild/training.safetensors"))
        assert all(bool(torch.isfinite(value).all()) for value in state.values())
        assert float(state["learner.machine.log_var"].abs().max()) < 5
    assert lake.exists("fits/wild/training.safetensors") == (rate == 1.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden": 0}, "hidden is above 0"),
        ({"hiden": 7}, "training.hiden is not a setting; Training has "),
        ({"hidden": "7"}, "hidden wants int, got '7'"),
        ({"ais_chains": 1}, "ais_chains is 2 or more"),
        ({"validation_share": 0.9}, "between 0 and 0.9, since 0.1 is the test's; it is 0.9"),
        ({"precision": "bfloat16"}, "precision is float32 or float64"),
        ({"method": "pcdd"}, "training.method is one of cd, pcd, pt, not 'pcdd'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        quick(**changes)
