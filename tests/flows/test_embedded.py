"""A flow runs where nothing is configured: no server, no settings, an empty home."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# What our commands do first; with newer fastapi the embedded server would not start.
SCRIPT = """
from flows.environment import PREFECT_DEFAULTS, QUIET, set_defaults
set_defaults(PREFECT_DEFAULTS, QUIET)
from flows.sweep import sweep
print(sweep())
"""


def test_the_embedded_server_needs_no_configuration(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=elsewhere,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{'crashed': [], 'rescheduled': []}"
    assert done.stderr == ""
    assert not list(elsewhere.iterdir())
