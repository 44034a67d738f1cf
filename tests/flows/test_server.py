"""Prefect's real server and real workers run our deployments: on schedule, by name, after a kill.

One server for the file (`flows.serve`, what `make serve` starts); the stage that runs is ingestion
of a small loopback site, whose requests are counted.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psutil
import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.serve import Ports, Service, serving
from tasks import rows
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.stage import plan
from tasks.storage import Lake, Shard
from tests.gated_site import gated_site

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("server")]

ROOT = Path(__file__).resolve().parents[2]
SHARD_SIZE = 3
HOW = Ingestion(shard_size=SHARD_SIZE, timeout_s=90, allow_private_hosts=("127.0.0.1",))


@dataclass(frozen=True)
class Stand:
    """The running services and what a test needs to talk to them."""

    services: list[Service]
    ports: Ports
    home: Path
    lake: Lake

    @property
    def worker(self) -> Service:
        return next(service for service in self.services if service.name == "worker-cpu")

    def prefect(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Type a Prefect command in the root of the repository."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("prefect")), *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {"PREFECT_API_URL": self.ports.api, "PREFECT_HOME": str(self.home)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    home = tmp_path_factory.mktemp("prefect")
    lake = tmp_path_factory.mktemp("lake")
    ports = Ports(prefect=free_port(), mlflow=0)
    chosen = {"PREFECT_HOME": str(home), "CAPLIFT_LAKE": str(lake), "CAPLIFT_WORKERS": "1"}
    with serving(ports, home / "logs", **chosen) as services:
        yield Stand(services, ports, home, Lake(str(lake)))
        for service in services:
            service.stop()  # among them a worker that a test started again


@pytest.fixture
def client(stand: Stand) -> Iterator[SyncPrefectClient]:
    with (
        temporary_settings({PREFECT_API_URL: stand.ports.api}),
        get_client(sync_client=True) as opened,
    ):
        yield opened


def eventually(what: str, true: Callable[[], Any], within_s: float = 60) -> Any:
    """Ask until the answer is true; fail with the question after `within_s`."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer := true():
            return answer
        time.sleep(0.3)
    raise AssertionError(f"not within {within_s} s: {what}")


def source_of(table: Path) -> Source:
    return Source(batch="killed", kind="human", tables=(str(table),))


def paths_in(lake: Lake, shard: Shard) -> list[str]:
    """The paths of a planned shard's pictures on the site."""
    urls = rows.read_rows(lake, lake.rows("plans", "", shard), ["url"])["url"].to_pylist()
    return [urlsplit(url).path for url in urls]


def deployment_id(client: SyncPrefectClient, name: str) -> UUID:
    return client.read_deployment_by_name(f"{name}/{name}").id


def process_of(run: FlowRun) -> psutil.Process | None:
    """The process that runs a flow run: the one whose environment names it."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("PREFECT__FLOW_RUN_ID") == str(run.id):
                return process
    return None


def test_every_deployment_of_the_page_is_on_the_server(client: SyncPrefectClient) -> None:
    page = yaml.safe_load((ROOT / "infra" / "prefect.yaml").read_text())
    there = {one.name: one for one in client.read_deployments(limit=100)}
    assert set(there) == {one["name"] for one in page["deployments"]}
    for one in page["deployments"]:
        assert there[one["name"]].work_pool_name == one["work_pool"]["name"]
    assert there["sweep"].schedules[0].active
    assert not there["pipeline"].schedules[0].active


def test_a_scheduled_run_appears_by_itself_and_completes(client: SyncPrefectClient) -> None:
    # With SQLAlchemy 2.1 the scheduler dies on each of its loops and no such run ever appears.
    every = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(seconds=5)))
    sweep = deployment_id(client, "sweep")
    wanted = DeploymentFilter(id=DeploymentFilterId(any_=[sweep]))
    (schedule,) = client.create_deployment_schedules(sweep, [every])

    def runs() -> list[FlowRun]:
        found = client.read_flow_runs(deployment_filter=wanted)
        return [run for run in found if run.auto_scheduled]

    try:
        eventually("a run is scheduled", runs, within_s=20)
        eventually(
            "a scheduled run completes",
            lambda: any(run.state and run.state.is_completed() for run in runs()),
        )
    finally:
        client.delete_deployment_schedule(sweep, schedule.id)


def test_a_bare_name_runs_the_deployment_to_its_end(stand: Stand) -> None:
    done = stand.prefect("deployment", "run", "sweep", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sweep/sweep" in done.stdout
    assert "Completed" in done.stdout


def test_a_killed_run_is_found_and_does_only_the_rest(
    stand: Stand, client: SyncPrefectClient, tmp_path: Path
) -> None:
    first, second = Shard("killed", "00000"), Shard("killed", "00001")
    with gated_site() as site:
        source = source_of(site.table(tmp_path / "killed.csv", 2 * SHARD_SIZE))
        assert plan(stand.lake, source, HOW) == [first, second]
        held = paths_in(stand.lake, second)[0]
        site.held.add(held)
        run = client.create_flow_run_from_deployment(
            deployment_id(client, "ingestion"),
            parameters={"source": asdict(source), "how": asdict(HOW)},
        )
        eventually("the second shard is half done", lambda: site.asked[held])
        assert stand.lake.is_committed("ingestion", "ingestion", first)
        assert not stand.lake.is_committed("ingestion", "ingestion", second)
        committed = stand.lake.read_bytes(stand.lake.commit_path("ingestion", "ingestion", first))
        kill_as_a_lost_node(stand, run)
        site.gate.set()
        swept = stand.prefect(
            "deployment", "run", "sweep", "--param", "silent_s=3", "--start-in", "4 seconds"
        )
        assert swept.returncode == 0, swept.stdout + swept.stderr
        revived = eventually(
            "the run completes",
            lambda: completed(client.read_flow_run(run.id)),
            within_s=120,
        )
        assert revived.run_count == 2
        assert stand.lake.is_committed("ingestion", "ingestion", second)
        again = stand.lake.read_bytes(stand.lake.commit_path("ingestion", "ingestion", first))
        assert again == committed
        assert [site.asked[path] for path in paths_in(stand.lake, first)] == [1, 1, 1]
        assert site.asked[held] == 2


def kill_as_a_lost_node(stand: Stand, run: FlowRun) -> None:
    """End the worker and the flow's process at once, then start the worker again.

    With the worker alive Prefect reports the crash itself; with both gone nobody does.
    """
    flow_process = process_of(run)
    assert flow_process is not None
    worker = stand.worker
    arguments = psutil.Process(worker.process.pid)
    command, environment = arguments.cmdline(), arguments.environ()
    os.killpg(worker.process.pid, signal.SIGKILL)
    for process in [*flow_process.children(recursive=True), flow_process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    worker.process.wait()
    with worker.log.open("ab") as output:
        revived = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    stand.services[stand.services.index(worker)] = Service(worker.name, revived, worker.log)


def completed(run: FlowRun) -> FlowRun | None:
    return run if run.state and run.state.is_completed() else None
