"""Who runs against whom: our command, and img2dataset in environments of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tasks.errors import InputError
from tests.benchmarks.ingest.web_server import HOSTS

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
REQUIREMENTS = HERE / "img2dataset.txt"
OURS = "caplift"
# img2dataset by the Python it runs on. Newer ones lack a module that it imports; on 3.11 urllib
# makes a TLS context a connection, on 3.12 one in all, so https needs the table to say which.
RIVALS = ("3.12", "3.11")
QUIET = {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled", "WANDB_SILENT": "true"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every contender is asked to do, in the same words."""

    urls: Path
    out: Path
    processes: int = 2
    image_size: int = 256
    resize_mode: str = "keep_ratio"
    encode_quality: int = 95
    shard_size: int = 500
    timeout_s: int = 10


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A program that turns a URL table into tars.

    Attributes:
        name: as the table calls it, with the Python it runs on.
        command: from a job to an argument list.
        rows: glob below `out` of the parquet files that have a row a URL.
        environment: beside the bench's own.
    """

    name: str
    command: Callable[[Job], list[str]]
    rows: str
    environment: dict[str, str] = field(default_factory=dict)


def caplift() -> Contender:
    """Return our command as a user types it, every policy on."""
    return Contender(name=OURS, command=_our_command, rows="web/**/*.parquet")


def img2dataset(version: str, folder: Path) -> Contender:
    """Return img2dataset on a Python version, in an environment below `folder`, made once."""
    python = _environment(version, folder)

    def command(job: Job) -> list[str]:
        options = {
            "url_list": str(job.urls),
            "output_folder": str(job.out),
            "processes_count": job.processes,
            "image_size": job.image_size,
            "resize_mode": job.resize_mode,
            "encode_quality": job.encode_quality,
            "number_sample_per_shard": job.shard_size,
            "timeout": job.timeout_s,
        }
        return [str(python), str(HERE / "img2dataset_run.py"), json.dumps(options)]

    name = f"img2dataset ({version})"
    return Contender(name=name, command=command, rows="*.parquet", environment=QUIET)


def _our_command(job: Job) -> list[str]:
    options = {
        "--processes": job.processes,
        "--image-size": job.image_size,
        "--resize-mode": job.resize_mode,
        "--encode-quality": job.encode_quality,
        "--shard-size": job.shard_size,
        "--timeout-s": job.timeout_s,
        "--allow-private-hosts": ",".join(HOSTS),
    }
    start = [sys.executable, "-m", "tasks.ingestion", str(job.urls), str(job.out)]
    # img2dataset enlarges what is smaller, so both do.
    return [*start, "--no-resize-only-if-bigger", *(str(o) for p in options.items() for o in p)]


def _interpreter(version: str) -> str:
    """Return a Python of this version that runs and can make environments.

    Raises:
        InputError: there is none on PATH and none of pyenv's.
    """
    versions = Path.home().joinpath(".pyenv", "versions").glob(f"{version}.*/bin/python{version}")
    on_path = shutil.which(f"python{version}")
    for python in (*([on_path] if on_path else []), *map(str, sorted(versions))):
        probe = [python, "-c", "import ensurepip, venv"]  # a shim may be there and not run
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return python
    raise InputError(
        f"no python{version} with venv on PATH or in ~/.pyenv/versions to run img2dataset with; "
        f"install one, or leave {version} out: make bench-ingest BENCH='--contenders …'"
    )


def _environment(version: str, folder: Path) -> Path:
    """Return the interpreter of an environment with img2dataset, installing it at first."""
    home = folder / f"img2dataset-{version}"
    python, marker = home / "bin" / "python", home / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if not marker.exists() or marker.read_text() != wanted:
        sys.stderr.write(f"installing img2dataset into {home} (once)\n")
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([_interpreter(version), "-m", "venv", str(home)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
        marker.write_text(wanted)
    return python


def environment_of(contender: Contender, bundle: Path) -> dict[str, str]:
    """Return the environment of a contender: ours, its own, and whom TLS may trust."""
    return {**os.environ, **contender.environment, "SSL_CERT_FILE": str(bundle)}
