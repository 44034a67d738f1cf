"""`make serve` starts everything at the addresses it prints, and Ctrl-C ends all of it."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.stand import ROOT, eventually, free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, in a home of its own, leading a process group as in a terminal."""
    words = ["--prefect-port", str(free_port()), "--mlflow-port", str(free_port())]
    home, lake = tmp_path / "home", tmp_path / "lake"
    home.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.serve", *words],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "CAPLIFT_LAKE": str(lake)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        yield process
        if process.poll() is None:
            process.terminate()


def said_until(process: subprocess.Popen[str], last: str) -> str:
    """What the command prints, up to a line."""
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if last in line:
            break
    return "".join(said)


def answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return bool(answer.status == 200 and b"<html" in answer.read().lower())


def worker_of(process: subprocess.Popen[str], pool: str) -> int | None:
    """The process id of the worker of a pool."""
    for one in psutil.Process(process.pid).children():
        if {"worker", pool} <= set(one.cmdline()):
            return one.pid
    return None


def test_all_is_found_where_it_says_what_dies_comes_back_and_ctrl_c_ends_all_of_it(
    typed: subprocess.Popen[str], tmp_path: Path
) -> None:
    said = said_until(typed, "Ctrl-C stops everything.")
    places = dict(re.findall(r"^  (Prefect|MLflow|lake) +(\S+)$", said, re.MULTILINE))
    assert set(places) == {"Prefect", "MLflow", "lake"}, said
    assert answers(places["Prefect"])
    assert answers(places["MLflow"])
    assert places["lake"] == str(tmp_path / "lake")
    assert f"export PREFECT_API_URL={places['Prefect']}/api" in said
    children = psutil.Process(typed.pid).children(recursive=True)
    workers = [one for one in children if "worker" in one.cmdline()]
    assert {one.cmdline()[one.cmdline().index("--pool") + 1] for one in workers} == {"cpu", "gpu"}
    lost = next(one for one in workers if "gpu" in one.cmdline())
    lost.kill()
    assert "worker-gpu has ended" in said_until(typed, "starting it again")
    eventually("it is back", lambda: worker_of(typed, "gpu") not in (None, lost.pid))
    children = psutil.Process(typed.pid).children(recursive=True)
    os.killpg(typed.pid, signal.SIGINT)
    assert "stopping" in said_until(typed, "stopping")
    assert typed.wait(90) == 0
    eventually("every child has ended", lambda: not psutil.wait_procs(children, 0)[1], within_s=5)
