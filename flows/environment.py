"""This machine: the only file that reads the environment.

Choices of a run (learning rates, thresholds) are settings in the `Plan`; what differs from machine
to machine is here, so that the same plan runs on a laptop and on a cluster.

CAPLIFT_LAKE         where everything is kept: a folder or s3://…, gs://…, az://…    ./lake
CAPLIFT_DEVICE       cpu, cuda or cuda:N                  cuda where there is one, else cpu
CAPLIFT_ENGINE       threads, or ray (with RAY_ADDRESS)                            threads
CAPLIFT_RANKS        processes that train one model together, by torchrun  one a GPU, else 1
CAPLIFT_WORKERS      shards in work at a time on this machine            number of cores, <= 8
CAPLIFT_CONTACT      address a crawled site can write to                              none
MLFLOW_TRACKING_URI  where runs and models are registered           sqlite in a local lake
"""

import getpass
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import InputError
from tasks.storage import Lake, open_lake

ENGINES = ("threads", "ray")
MAX_WORKERS = 8
# Without these, an embedded Prefect asks for time it may not get on a cold disk, and phones home.
PREFECT_DEFAULTS = {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_PLUGINS_ENABLED": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}
# At a terminal our own lines are shown; an error ends the command and is printed by it.
QUIET = {"PREFECT_LOGGING_LEVEL": "CRITICAL", "MLFLOW_LOGGING_LEVEL": "ERROR"}
# A worker's runs: our own log lines reach Prefect's page of the run they belong to.
SPOKEN = {
    "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,models",
    "PREFECT_LOGGING_ROOT_LEVEL": "INFO",
    # Threads that read ahead or write behind belong to no run; their lines stay in the worker.
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What this machine gives a run; built by `this_machine`."""

    lake: str
    engine: str
    workers: int
    contact: str
    device_choice: str
    mlflow_choice: str
    ranks_choice: int = 0

    @property
    def device(self) -> str:
        """The torch device of this machine; torch is imported only when nobody has chosen."""
        if self.device_choice:
            return self.device_choice
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def devices(self) -> tuple[str, ...]:
        """The torch devices on which runs may be at once: every GPU, the one chosen, or the CPU."""
        if self.device_choice not in ("", "cuda"):
            return (self.device_choice,)
        import torch

        return tuple(f"cuda:{n}" for n in range(torch.cuda.device_count())) or (self.device,)

    @property
    def ranks(self) -> int:
        """How many processes train one model: as many as GPUs, unless one is named or none used."""
        if self.ranks_choice or self.device != "cuda":
            return self.ranks_choice or 1
        import torch

        return max(torch.cuda.device_count(), 1)

    def open_lake(self, root: str = "", *, create: bool = False) -> Lake:
        """Open the lake a flow was given, or this machine's own when it was given none.

        Raises:
            LakeError: there is none and `create` is false, or it cannot be written.
        """
        return open_lake(root or self.lake, create=create)

    def mlflow_uri(self, lake: Lake) -> str:
        """Where the runs on `lake` are registered.

        Raises:
            InputError: the lake is on an object store and nobody has said where.
        """
        if self.mlflow_choice:
            return self.mlflow_choice
        if not lake.is_local:
            raise InputError(
                f"the lake {lake.root} is not on this machine's disk, so MLflow's database cannot "
                "lie in it; set MLFLOW_TRACKING_URI, such as http://HOST:5000"
            )
        return f"sqlite:///{lake.local_path('mlflow.db')}"


def this_machine(environment: Mapping[str, str] = os.environ) -> Machine:
    """Read the environment.

    Raises:
        InputError: a variable has a value that means nothing; the line names both.
    """
    lake = environment.get("CAPLIFT_LAKE") or "./lake"
    return Machine(
        lake=lake if "://" in lake else str(Path(lake).expanduser().absolute()),
        engine=_one_of("CAPLIFT_ENGINE", environment.get("CAPLIFT_ENGINE") or "threads", ENGINES),
        workers=_workers(environment.get("CAPLIFT_WORKERS") or ""),
        contact=environment.get("CAPLIFT_CONTACT") or "",
        device_choice=_device(environment.get("CAPLIFT_DEVICE") or ""),
        mlflow_choice=environment.get("MLFLOW_TRACKING_URI") or "",
        ranks_choice=_count("CAPLIFT_RANKS", environment.get("CAPLIFT_RANKS") or "0", least=0),
    )


def person() -> str:
    """Return who runs this process: the account's name, or its number where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def revision() -> str:
    """Return the git revision of this checkout, with "+" when files differ, or "" outside one."""
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def set_defaults(*groups: Mapping[str, str]) -> None:
    """Give Prefect and MLflow our defaults where the user has set nothing; before their import."""
    for name, value in {k: v for group in groups for k, v in group.items()}.items():
        os.environ.setdefault(name, value)


def child_environment(**changes: str) -> dict[str, str]:
    """Return this process's environment with `changes`, for a process that we start."""
    return {**os.environ, **changes}


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InputError(f"{name} is {value!r}; it can be {' or '.join(known)}")
    return value


def _workers(value: str) -> int:
    if not value:
        return min(os.cpu_count() or 1, MAX_WORKERS)
    return _count("CAPLIFT_WORKERS", value, least=1)


def _count(name: str, value: str, least: int) -> int:
    if not value.isdecimal() or int(value) < least:
        raise InputError(f"{name} is {value!r}; it is a whole number of at least {least}")
    return int(value)


def _device(value: str) -> str:
    kind, _, index = value.partition(":")
    if kind not in ("", "cpu", "cuda") or (":" in value and not index.isdecimal()):
        raise InputError(f"CAPLIFT_DEVICE is {value!r}; it can be cpu, cuda or cuda:0")
    return value
