"""`make serve` says in one line what stands in its way."""

import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_taken_port_is_one_line_that_offers_another(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "flows.serve", "--prefect-port", str(port)],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "CAPLIFT_LAKE": str(tmp_path / "lake")},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert f"port {port}" in line
    assert f"make serve PREFECT_PORT={port + 1}" in line
    assert not (tmp_path / "lake").exists()
