"""Every round of CapFilt has models of its own, and its model begins from scratch.

Killed with kill -9 in the second round, they end in the same bytes. The models are the smallest
there are: what is shown is who is made out of what, not that anything is learnt.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flows.plan import Plan
from flows.rounds import rounds_path
from tasks.checkpoints import newest
from tasks.evaluation.settings import Evaluation
from tasks.finetuning.settings import Finetuning
from tasks.ingestion.settings import Source
from tasks.pretraining import Pretraining
from tasks.selection import Selection, Thresholds
from tasks.storage import Lake
from tests.small_lake import write_lake
from tests.stand import ROOT

pytestmark = pytest.mark.slow

ROUNDS = 2
FINETUNING = Finetuning(steps=3, batch_size=5)
PLAN = Plan(
    web=Source(batch="web", pages=("index.html",)),
    seed=Source(batch="seed", kind="human", pages=("seed.html",)),
    held_out=Source(batch="evaluation", kind="human", pages=("evaluation.html",)),
    pretraining=Pretraining(preset="test", steps=7, batch_size=5, checkpoint_every=3),
    captioner=FINETUNING,
    filter=FINETUNING,
    # A filter of three steps finds every text wrong: what it would drop is not the question here.
    selection=Selection(thresholds=Thresholds(itm_probability=0.0)),
    evaluation=Evaluation(bootstrap=23),
    rounds=ROUNDS,
)


def begin(lake: Lake, home: Path) -> subprocess.Popen[str]:
    """Start the command as it is typed; it leads a process group."""
    file = home / "plan.json"
    file.write_text(json.dumps(asdict(replace(PLAN, rounds=1))))
    words = [str(file), "--lake", lake.root, "--rounds", str(ROUNDS)]
    return subprocess.Popen(
        [sys.executable, "-m", "flows.rounds", *words],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(lake: Lake, home: Path) -> str:
    """Take the rounds to their end and return the table that was printed."""
    process = begin(lake, home)
    try:
        told, warned = process.communicate(timeout=900)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, warned
    return told


def kill_in_the_second_round(lake: Lake, home: Path) -> None:
    """Kill the command in mid-training of the second round's captioner, with all it started."""
    process = begin(lake, home)
    try:
        while len(list(Path(lake.root).glob("checkpoints/captioner-*"))) < ROUNDS:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.002)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def found_in(lake: Lake) -> list[dict[str, Any]]:
    (path,) = lake.glob("runs/*/rounds.json")
    assert path == rounds_path(path.split("/")[1])
    return list(lake.read_json(path))


def weights(lake: Lake) -> dict[str, str]:
    """The digest of the weights that each training run has ended in."""
    ends = {name: newest(lake, name) for name in lake.folders("checkpoints")}
    return {
        name: str(end.card["files"]["model.safetensors"]["sha256"])
        for name, end in ends.items()
        if end is not None and end.is_final
    }


def commits(lake: Lake) -> dict[str, bytes]:
    return {path: lake.read_bytes(path) for path in lake.glob("commits/**/*.json")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def untouched(home: Path) -> Lake:
    """Three batches that were ingested, and nothing else."""
    write_lake(home / "untouched", counts=(11, 7))
    write_lake(home / "untouched", batch="seed", counts=(13,), source="human")
    return write_lake(home / "untouched", batch="evaluation", counts=(5,), source="human")


@pytest.fixture(scope="module")
def undisturbed(untouched: Lake, home: Path) -> tuple[Lake, str]:
    lake = copied(untouched, home / "undisturbed")
    return lake, run(lake, home)


def copied(lake: Lake, to: Path) -> Lake:
    shutil.copytree(lake.root, to)
    return Lake(str(to))


def test_every_round_has_models_and_a_selection_of_its_own(undisturbed: tuple[Lake, str]) -> None:
    found = found_in(undisturbed[0])
    assert [one["number"] for one in found] == [0, 1, 2]
    for what in ("captioner", "filter", "model"):
        assert len({one["models"][what] for one in found if what in one["models"]}) >= ROUNDS
    for what in ("captions", "scores"):
        assert len({one["runs"][what] for one in found[1:]}) == ROUNDS
    assert len({one["selection"] for one in found}) == ROUNDS + 1


def test_a_round_finetunes_the_model_of_the_round_before_and_trains_a_new_one_from_scratch(
    undisturbed: tuple[Lake, str],
) -> None:
    lake, _ = undisturbed
    found = found_in(lake)
    for before, one in pairwise(found):
        for half in ("captioner", "filter"):
            facts = lake.read_json(f"{one['models'][half]}/checkpoint.json")["facts"]
            assert facts["start"] == before["models"]["model"]
        facts = lake.read_json(f"{one['models']['model']}/checkpoint.json")["facts"]
        assert facts["settings"]["init"] == "scratch"
        assert "start" not in facts
        assert one["selection"] in facts["selections"]


def test_the_numbers_of_all_rounds_stand_side_by_side(undisturbed: tuple[Lake, str]) -> None:
    lake, told = undisturbed
    raw, first, second = found_in(lake)
    header = next(line for line in told.splitlines() if "round 2" in line)
    assert header.split() == ["number", "raw", "pairs", "round", "1", "round", "2"]
    for one in (first, second):
        assert one["numbers"]["web_captions"] == one["numbers"]["synthetic_captions"] == 18
        assert one["numbers"]["synthetic_accepted"] == 1.0  # its threshold is 0
        assert one["against_raw"]["cider_d"]["difference"]["value"] == pytest.approx(
            one["numbers"]["cider_d"] - raw["numbers"]["cider_d"]
        )
    line = next(line for line in told.splitlines() if "CIDEr-D" in line and "captioner" not in line)
    for one in (raw, first, second):
        assert f"{one['numbers']['cider_d']:.3f}" in line
    assert rounds_path("").rsplit("/", 1)[1] in told


def test_killed_in_the_second_round_they_end_in_the_same_bytes_and_redo_nothing(
    untouched: Lake, undisturbed: tuple[Lake, str], home: Path
) -> None:
    lake = copied(untouched, home / "killed")
    kill_in_the_second_round(lake, home)
    assert [one["number"] for one in found_in(lake)] == [0, 1]
    before, trained = commits(lake), weights(lake)
    assert len(trained) == 4  # raw, captioner, filter, and the model of the first round
    run(lake, home)
    after = commits(lake)
    assert {path: after[path] for path in before} == before
    assert weights(lake) == weights(undisturbed[0])
    assert [one["numbers"] for one in found_in(lake)] == [
        one["numbers"] for one in found_in(undisturbed[0])
    ]
