"""Ranks that torchrun starts say their steps and what stopped them to whoever launched them."""

import signal
import time
from pathlib import Path

import psutil
import pytest

from tasks.errors import InputError
from tasks.launching import PRETRAINING, Training, steps_of
from tests.interrupted import interrupted_forks
from tests.small_lake import write_lake, write_selection

pytestmark = pytest.mark.slow

SETTINGS = {
    "preset": "test",
    "steps": 4,
    "batch_size": 6,
    "vocab_size": 80,
    "objective": {"momentum": 0.9, "queue_size": 11},
}


@pytest.fixture
def job(tmp_path: Path) -> Training:
    lake = write_lake(tmp_path / "lake", counts=(7, 4))
    write_selection(lake, "all")
    return training(lake.root, "two")


def training(root: str, run: str, **changes: object) -> Training:
    settings = {**SETTINGS, **changes}
    return Training(kind=PRETRAINING, lake=root, run=run, selections=("all",), settings=settings)


def test_steps_of_ranks_are_those_of_this_process(job: Training) -> None:
    launched = list(steps_of(job, ranks=2))
    here = list(steps_of(training(job.lake, "one")))
    assert [m.step for m in launched] == [m.step for m in here] == [1, 2, 3, 4]
    assert [m.total for m in launched] == pytest.approx([m.total for m in here], rel=1e-4)
    assert launched[0].use["system/cpu_utilization_percentage"] > 0
    assert list(steps_of(job, ranks=2)) == []  # done


def test_what_stops_a_rank_is_raised_as_it_was(job: Training) -> None:
    with pytest.raises(InputError, match=r"^batch_size 5 cannot be divided equally over 2 ranks"):
        list(steps_of(training(job.lake, "odd", batch_size=5), ranks=2))


def test_a_rank_that_is_killed_is_no_mistake_of_a_person(job: Training) -> None:
    steps = steps_of(training(job.lake, "long", steps=10_000), ranks=2)
    next(steps)
    (worker, *_) = ranks_of("tasks.launching")
    worker.send_signal(signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"the ranks of long ended with .* run it again"):
        list(steps)


def test_who_stops_listening_ends_the_ranks(job: Training) -> None:
    steps = steps_of(training(job.lake, "long", steps=10_000), ranks=2)
    next(steps)
    assert ranks_of("tasks.launching")
    steps.close()  # type: ignore[attr-defined]  # a generator
    until = time.monotonic() + 30
    while ranks_of("tasks.launching") and time.monotonic() < until:
        time.sleep(0.1)
    assert not ranks_of("tasks.launching")


def test_ctrl_c_while_torchrun_starts_leaves_no_process_behind(
    job: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = interrupted_forks(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        next(steps_of(job, ranks=2))
    assert seen
    assert not psutil.pid_exists(seen[0])


def ranks_of(module: str) -> list[psutil.Process]:
    """Return the processes below this one that run a module but for torchrun itself."""
    found = []
    for process in psutil.Process().children(recursive=True):
        command = process.cmdline() if process.status() != psutil.STATUS_ZOMBIE else []
        if module in command and "torch.distributed.run" not in command:
            found.append(process)
    return found
