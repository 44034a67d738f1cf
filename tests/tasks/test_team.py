"""Ranks that train together take the steps of one that trains alone on the joined batch.

Real processes, started by torchrun, over gloo on loopback.
"""

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import psutil
import pytest
import torch
from torch import Tensor

from models.blip import Blip
from tasks.checkpoints import load_model, newest
from tasks.commands import run_command
from tasks.pretraining import main, plan_from, pretrain
from tasks.storage import Lake
from tests.small_lake import write_lake, write_selection

pytestmark = pytest.mark.slow

STEPS, EVERY = 6, 3
SETTINGS = {
    "preset": "test",
    "steps": STEPS,
    "batch_size": 6,
    "learning_rate": 3e-3,
    "warmup_steps": 2,
    "vocab_size": 80,
    "checkpoint_every": EVERY,
    "objective": {"momentum": 0.9, "queue_size": 11},
    "augmentation": {},
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = write_lake(tmp_path_factory.mktemp("team") / "lake", counts=(7, 4))
    write_selection(lake, "all")
    return lake


@pytest.fixture(scope="module")
def alone(lake: Lake) -> dict[str, Tensor]:
    """The weights that one process ends with."""
    assert run_command(main, [lake.root, "alone", str(plan(lake))]) == 0
    return weights(lake, "alone")


def plan(lake: Lake, **changes: object) -> Path:
    text = json.dumps({"selections": ["all"], "settings": {**SETTINGS, **changes}})
    path = Path(lake.root) / f"plan-{abs(hash(text))}.json"
    path.write_text(text)
    return path


def torchrun(lake: Lake, run: str, path: Path, ranks: int = 2) -> list[str]:
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return [sys.executable, "-m", *launcher, "-m", "tasks.pretraining", lake.root, run, str(path)]


def weights(lake: Lake, run: str) -> dict[str, Tensor]:
    found = newest(lake, run)
    assert found is not None
    assert (found.is_final, found.step) == (True, STEPS)
    model: Blip = load_model(lake, found.uri).model
    return dict(model.state_dict())


def assert_alike(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    # Sums in another order; AdamW makes a step of any gradient, however small.
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_ranks_equal_one_with_the_joined_batch(
    lake: Lake, alone: dict[str, Tensor], parallel: str
) -> None:
    command = torchrun(lake, parallel, plan(lake, parallel=parallel))
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert_alike(weights(lake, parallel), alone)
    # One rank speaks: a line is there once.
    assert ended.stderr.count("step 6 is safe") == 1


def test_ranks_that_were_killed_are_resumed_by_one_alone(
    lake: Lake, alone: dict[str, Tensor]
) -> None:
    path = plan(lake, parallel="fsdp")
    with subprocess.Popen(
        torchrun(lake, "elastic", path), stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if f"step {EVERY} is safe" in line:
                break
        launcher = psutil.Process(running.pid)
        for process in (*launcher.children(recursive=True), launcher):
            process.kill()
        running.stderr.close()
    found = newest(lake, "elastic")
    assert found is not None
    assert found.step == EVERY
    assert run_command(main, [lake.root, "elastic", str(plan(lake, parallel="ddp"))]) == 0
    assert_alike(weights(lake, "elastic"), alone)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_a_run_begun_alone_goes_on_as_ranks_whose_checkpoints_one_alone_goes_on_from(
    lake: Lake, alone: dict[str, Tensor], parallel: str
) -> None:
    run, path = f"grown-{parallel}", plan(lake, parallel=parallel, checkpoint_every=1)
    how = plan_from(json.loads(path.read_text())).settings
    assert len(list(islice(pretrain(lake, run, ("all",), how), 2))) == 2
    command = torchrun(lake, run, path)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f"{run} goes on from step 2 of {STEPS}" in ended.stderr
    assert_alike(weights(lake, run), alone)
    lake.fs.rm(lake.path(f"checkpoints/{run}/{STEPS:08d}"), recursive=True)
    assert run_command(main, command[-3:]) == 0
    assert_alike(weights(lake, run), alone)


def test_a_batch_that_does_not_come_out_even_is_one_line(lake: Lake) -> None:
    command = torchrun(lake, "uneven", plan(lake, batch_size=5))
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    line = "batch_size 5 cannot be divided equally over 2 ranks x 1 accumulated parts; take 4 or 6"
    assert line in ended.stderr
    assert not lake.exists("checkpoints/uneven")
