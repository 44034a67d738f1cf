"""A flow's process whose output nobody reads any more works on to its end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stand import ROOT

# It says that it has begun, waits until its reader is gone, and then speaks in every way it can.
SPEAKS = """
import logging, sys, threading
from pathlib import Path
import prefect.main
from rich.console import Console

print("begun", file=sys.{channel}, flush=True)
sys.stdin.read()

def speak():
    for _ in range(300):
        logging.getLogger("prefect.flow_runs").error("a line of the run " * 5)
        print("a line on stdout " * 5)
        Console(stderr=True).print("a line of progress " * 5)

threads = [threading.Thread(target=speak) for _ in range(2)]
for thread in threads:
    thread.start()
speak()
for thread in threads:
    thread.join()
Path(sys.argv[1]).write_text("to the end")
"""


@pytest.mark.parametrize("channel", ["stdout", "stderr"])
def test_a_run_goes_on_when_its_worker_is_gone(channel: str, tmp_path: Path) -> None:
    variables = {"PREFECT__FLOW_RUN_ID": "1", "PREFECT_PLUGINS_ENABLED": "true"}
    quiet = {"PREFECT_LOGGING_TO_API_ENABLED": "false", "PREFECT_HOME": str(tmp_path / "home")}
    ended = tmp_path / "ended"
    with subprocess.Popen(
        [sys.executable, "-c", SPEAKS.format(channel=channel), str(ended)],
        cwd=ROOT,
        env={**os.environ, **variables, **quiet},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert getattr(process, channel).readline() == b"begun\n"
        process.stdout.close()
        process.stderr.close()
        process.stdin.close()
        assert process.wait(60) == 0
    assert ended.read_text() == "to the end"
