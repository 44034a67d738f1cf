"""A program that is started is always stopped, whenever Ctrl-C comes."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from flows.services import Service
from tests.interrupted import interrupted_forks
from tests.stand import eventually

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_ctrl_c_while_a_service_starts_again_leaves_no_process_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service("sleeper", SLEEPER, tmp_path, dict(os.environ), tmp_path / "log")
    service.stop()
    seen = interrupted_forks(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        service.start()
    assert service.process.pid == seen[0]
    service.stop()
    eventually("it has ended", lambda: not psutil.pid_exists(seen[0]))
