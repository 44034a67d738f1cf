"""A Prefect server, workers and deployments as `make serve` starts them, for tests that need them.

`tests/flows/conftest.py` has one for all its files: starting it takes most of a minute.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.serve import Ports, serving
from flows.services import Service
from tasks.storage import Lake, open_lake

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Stand:
    """The running services and what a test needs to talk to them."""

    services: list[Service]
    ports: Ports
    home: Path
    lake: Lake

    def prefect(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Type a Prefect command in the root of the repository."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("prefect")), *arguments],
            cwd=ROOT,
            env={**os.environ, "PREFECT_API_URL": self.ports.api, "PREFECT_HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    @contextlib.contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        """Talk to the server from Python."""
        with (
            temporary_settings({PREFECT_API_URL: self.ports.api}),
            get_client(sync_client=True) as opened,
        ):
            yield opened

    def answers(self) -> bool:
        """True when the server answers."""
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{self.ports.api}/health", timeout=2) as answer,
        ):
            return bool(answer.status == HTTPStatus.OK)
        return False

    def lose_the_node_of(self, run: FlowRun, pool: str = "cpu") -> None:
        """End the worker and the flow's process at once, then start the worker again.

        With the worker alive Prefect reports the crash itself; with both gone nobody does.
        """
        process = process_of(run)
        assert process is not None
        with self.killed(f"worker-{pool}"):
            for one in [*process.children(recursive=True), process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()

    @contextlib.contextmanager
    def killed(self, name: str) -> Iterator[None]:
        """Kill a service with all of its group for as long as the body lasts, then start it again.

        The run a worker has started leads a group of its own, and goes on.
        """
        service = next(one for one in self.services if one.name == name)
        os.killpg(service.process.pid, signal.SIGKILL)
        service.process.wait()
        yield
        service.start()


@contextlib.contextmanager
def standing(home: Path, lake: Path) -> Iterator[Stand]:
    """Start everything but MLflow's pages on free ports; stop all of it on leaving."""
    ports = Ports(prefect=free_port(), mlflow=0)
    chosen = {
        "PREFECT_HOME": str(home),
        "CAPLIFT_LAKE": str(lake),
        "CAPLIFT_WORKERS": "1",
        "CAPLIFT_DEVICE": "cpu",
    }
    with serving(ports, home / "logs", **chosen) as services:
        yield Stand(services, ports, home, open_lake(str(lake), create=True))


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(what: str, true: Callable[[], Any], within_s: float = 60) -> Any:
    """Ask until the answer is true; fail with the question after `within_s`."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer := true():
            return answer
        time.sleep(0.3)
    raise AssertionError(f"not within {within_s} s: {what}")


def deployment_id(client: SyncPrefectClient, name: str) -> UUID:
    """Return the id of the deployment `<name>/<name>`."""
    return client.read_deployment_by_name(f"{name}/{name}").id


def runs_of(client: SyncPrefectClient, name: str) -> list[FlowRun]:
    """Return every run of the deployment `<name>/<name>`."""
    wanted = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id(client, name)]))
    return client.read_flow_runs(deployment_filter=wanted)


def is_completed(run: FlowRun) -> bool:
    """True when the run has ended well."""
    return run.state is not None and run.state.is_completed()


def process_of(run: FlowRun) -> psutil.Process | None:
    """Return the process that runs a flow run: the one whose environment names it."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("PREFECT__FLOW_RUN_ID") == str(run.id):
                return process
    return None


@contextlib.contextmanager
def another_worker(stand: Stand, pool: str) -> Iterator[None]:
    """Give a pool a second worker, as a second machine would, and room for its runs."""
    first = next(one for one in stand.services if one.name == f"worker-{pool}")
    name = f"{pool}-second"
    command = list(first.command)
    command[command.index("--name") + 1] = name
    with stand.client() as client:
        room = client.read_work_pool(pool).concurrency_limit or 0
        client.update_work_pool(pool, WorkPoolUpdate(concurrency_limit=room + 1))
        second = Service(
            f"worker-{name}", command, ROOT, first.environment, stand.home / f"{name}.log"
        )
        eventually(
            "both workers are known",
            lambda: sum(w.status == "ONLINE" for w in client.read_workers_for_work_pool(pool)) > 1,
        )
        try:
            yield
        finally:
            second.stop()
            client.update_work_pool(pool, WorkPoolUpdate(concurrency_limit=room))
