"""CapFilt spread over GPU workers: a node that is lost costs only what it had not committed.

The lost run is found by the sweep, marked, announced, and its place is free again; what was
committed stays as it is, and the whole is what one undisturbed process makes of the same pictures.
"""

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import FlowRun

from flows.capfilt_group import parameters_of
from flows.sweep import LOST, LOST_EVENT
from tasks import rows
from tasks.capfilt.naming import named_job
from tasks.capfilt.settings import CapFilt
from tasks.storage import Lake, Shard
from tests.champions import crown
from tests.small_lake import write_lake
from tests.stand import (
    ROOT,
    Stand,
    another_worker,
    deployment_id,
    eventually,
    is_completed,
    process_of,
    runs_of,
)

pytestmark = pytest.mark.slow

SHARDS = 7
PICTURES = 5  # a shard
# A second or so of work a shard, so that there is a middle to be killed in.
HOW = CapFilt(captions_per_image=71, batch_size=3)
LONG_S = 240  # processes start in seconds, and in a minute where all cores are taken
# Untrained, the filter accepts all: that its gate says so is shown elsewhere.
UNTRAINED = [{"gate": gate, "why": "models of a test are not trained"} for gate in ("G9", "G10")]


MODELS = ("captioner", "filter")
MODEL = "checkpoints/caplift-{}-0/00000001"


@dataclass(frozen=True)
class Lost:
    """What a test sees of a run of which one group's node was lost in mid-shard."""

    lake: Lake
    driver: FlowRun
    zombie: FlowRun
    held: dict[str, bytes]
    swept: FlowRun
    groups: list[FlowRun]


def started(client: SyncPrefectClient, lake: Lake) -> FlowRun:
    parameters = {"batch": "web", "how": asdict(HOW), "lake": lake.root, "overrides": UNTRAINED}
    return client.create_flow_run_from_deployment(
        deployment_id(client, "capfilt"), parameters=parameters
    )


def groups_of(client: SyncPrefectClient, lake: Lake) -> list[FlowRun]:
    """The groups of a lake's shards, the earliest first."""
    found = [run for run in runs_of(client, "capfilt_group") if run.parameters["lake"] == lake.root]
    return sorted(found, key=lambda run: str(run.created))


def commits(lake: Lake) -> dict[str, bytes]:
    return {path: lake.read_bytes(path) for path in lake.glob("commits/[cs]*/*/web/*.json")}


def scored(lake: Lake) -> set[str]:
    return {Path(path).stem for path in lake.glob("commits/scoring/*/web/*.json")}


@pytest.fixture(scope="module")
def lost(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    lake = write_lake(tmp_path_factory.mktemp("workers") / "lake", counts=(PICTURES,) * SHARDS)
    crown(lake)
    with stand.client() as client, another_worker(stand, "gpu"):
        driver = started(client, lake)
        eventually(
            "two workers have a group each",
            lambda: sum(process_of(run) is not None for run in groups_of(client, lake)) == 2,
            within_s=LONG_S,
        )
        mine = next(run for run in groups_of(client, lake) if works_at(client, run, "gpu"))
        own = set(mine.parameters["shards"])
        eventually("a shard of it is done", lambda: scored(lake) & own, within_s=LONG_S)
        held = commits(lake)
        stand.lose_the_node_of(mine, "gpu")
        assert own - scored(lake), "nothing was left to lose"
        sweep = swept(client)
        done = eventually(
            "capfilt ends",
            lambda: ended(client.read_flow_run(driver.id)),
            within_s=LONG_S,
        )
        zombie = client.read_flow_run(mine.id)
        return Lost(lake, done, zombie, held, sweep, groups_of(client, lake))


def works_at(client: SyncPrefectClient, run: FlowRun, worker: str) -> bool:
    """True when the worker of this name has the run."""
    found = client.read_flow_run(run.id).infrastructure_pid or ""
    process = process_of(run)
    return bool(found and process) and worker_of(process) == worker


def worker_of(process: Any) -> str:
    command: list[str] = process.parent().cmdline()
    return command[command.index("--name") + 1]


def ending(client: SyncPrefectClient, run: FlowRun) -> FlowRun:
    """Wait for the end of a run and return it as it then is."""
    done = eventually("a run ends", lambda: ended(client.read_flow_run(run.id)), LONG_S)
    assert isinstance(done, FlowRun)
    return done


def ended(run: FlowRun) -> FlowRun | None:
    return run if run.state is not None and run.state.is_final() else None


def swept(client: SyncPrefectClient) -> FlowRun:
    """Let the sweep take a few seconds' silence for a loss, and return its run, done."""
    time.sleep(4)
    run = client.create_flow_run_from_deployment(
        deployment_id(client, "sweep"), parameters={"silent_s": 3}
    )
    done = eventually("the sweep ends", lambda: ended(client.read_flow_run(run.id)), LONG_S)
    assert isinstance(done, FlowRun)
    assert is_completed(done)
    return done


def artifacts(client: SyncPrefectClient, run: FlowRun) -> dict[str, Any]:
    """What a run shows on its page, by key."""
    keys = ["lost-runs", "capfilt-progress", "capfilt-table"]
    found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=keys)))
    return {str(one.key): one.data for one in found if one.flow_run_id == run.id}


def test_groups_of_shards_are_shared_by_the_workers_of_the_pool(lost: Lost) -> None:
    first, second = (set(run.parameters["shards"]) for run in lost.groups[:2])
    assert {len(first), len(second)} == {SHARDS // 2, SHARDS - SHARDS // 2}
    assert not first & second
    assert all(run.work_pool_name == "gpu" for run in lost.groups)


def test_a_lost_run_is_marked_and_the_sweep_says_so(lost: Lost, client: SyncPrefectClient) -> None:
    assert lost.zombie.state is not None
    assert lost.zombie.state.is_crashed()
    assert lost.zombie.state.message == LOST
    table = json.loads(artifacts(client, lost.swept)["lost-runs"])
    (line,) = [row for row in table if row["id"] == str(lost.zombie.id)]
    assert (line["run"], line["was"], line["now"]) == (lost.zombie.name, "Running", "crashed")

    def told() -> list[dict[str, Any]]:
        wanted = {"filter": {"event": {"name": [LOST_EVENT]}}, "limit": 50}
        events = client.request("POST", "/events/filter", json=wanted).json()["events"]
        return [one for one in events if one["payload"]["id"] == str(lost.zombie.id)]

    assert len(eventually("the event is there", told)) == 1


def test_its_shards_are_done_by_another_run_and_nothing_else_is_done_again(lost: Lost) -> None:
    assert is_completed(lost.driver), lost.driver.state
    assert lost.driver.run_count == 1
    again = [run for run in lost.groups[2:] if run.parameters["shards"]]
    assert [run.parameters["shards"] for run in again] == [lost.zombie.parameters["shards"]]
    after = commits(lost.lake)
    assert {path: after[path] for path in lost.held} == lost.held
    assert scored(lost.lake) == {f"{number:05d}" for number in range(SHARDS)}


def test_no_slot_stays_taken(lost: Lost, client: SyncPrefectClient) -> None:
    assert lost.driver
    assert client.read_work_pool_concurrency_status("gpu").active_slots == 0
    deployment = client.read_deployment(deployment_id(client, "capfilt"))
    assert deployment.global_concurrency_limit is not None
    assert deployment.global_concurrency_limit.active_slots == 0


def test_the_page_shows_how_far_it_came(lost: Lost, client: SyncPrefectClient) -> None:
    shown = artifacts(client, lost.driver)
    assert shown["capfilt-progress"] == 100
    table = {row["what"]: row["so far"] for row in json.loads(shown["capfilt-table"])}
    assert table["pictures"] == f"{PICTURES * SHARDS}"
    assert table["shards"] == f"{SHARDS} of {SHARDS}"
    assert float(table["images/s"]) > 0
    assert table["web texts accepted"].endswith(f"of {PICTURES * SHARDS}")
    written = PICTURES * SHARDS * HOW.captions_per_image
    assert table["synthetic texts accepted"].endswith(f"of {written:,}")


def test_the_rows_are_those_that_one_undisturbed_process_writes(lost: Lost, tmp_path: Path) -> None:
    alone = write_lake(tmp_path / "lake", counts=(PICTURES,) * SHARDS)
    words = [f"--{name}={lost.lake.path(MODEL.format(name))}" for name in MODELS]
    words += ["--captions-per-image", str(HOW.captions_per_image)]
    done = subprocess.run(
        [sys.executable, "-m", "tasks.capfilt", alone.root, *words],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)
    for table, name in (("captions", runs["captions"]), ("scores", runs["scores"])):
        for number in range(SHARDS):
            shard = Shard("web", f"{number:05d}")
            path = alone.rows(table, name, shard)
            assert lost.lake.exists(path), "the same weights have other names of runs"
            mine, other = (rows.read_rows(one, path).to_pylist() for one in (lost.lake, alone))
            assert [row["key"] for row in mine] == [row["key"] for row in other]
            told = "text" if table == "captions" else "itm_probability"
            expected = [row[told] for row in other]
            assert [row[told] for row in mine] == (
                expected if table == "captions" else pytest.approx(expected, abs=1e-5)
            )


def test_a_killed_server_costs_no_work_and_the_run_ends_when_it_is_back(
    stand: Stand, client: SyncPrefectClient, tmp_path: Path
) -> None:
    lake = write_lake(tmp_path / "lake", counts=(PICTURES,) * SHARDS)
    crown(lake)
    driver = started(client, lake)
    eventually("a shard is done", lambda: scored(lake), within_s=LONG_S)
    group = next(run for run in groups_of(client, lake) if process_of(run) is not None)
    shards = set(group.parameters["shards"])
    before = commits(lake)
    with stand.killed("prefect-server"):
        assert shards - scored(lake), "nothing was left to go on with"
        eventually("its worker goes on without it", lambda: shards <= scored(lake), LONG_S)
    eventually("the server is back", stand.answers, within_s=LONG_S)
    done = ending(client, driver)
    assert is_completed(done), done.state
    assert done.run_count == 1
    after = commits(lake)
    assert {path: after[path] for path in before} == before
    assert scored(lake) == {f"{number:05d}" for number in range(SHARDS)}
    made = [name for run in groups_of(client, lake) for name in run.parameters["shards"]]
    assert sorted(made) == sorted(scored(lake))  # each of them once


def group_of_all(client: SyncPrefectClient, lake: Lake) -> FlowRun:
    """Start one group of all the shards of a lake, as capfilt would."""
    crown(lake)
    job = named_job(lake, HOW, *(lake.path(MODEL.format(name)) for name in MODELS))
    shards = [shard.name for shard in lake.planned("web")]
    return client.create_flow_run_from_deployment(
        deployment_id(client, "capfilt_group"),
        parameters={**parameters_of("web", job, lake.root), "shards": shards},
    )


def test_a_killed_workers_run_goes_on_and_no_second_one_shares_its_gpu(
    stand: Stand, client: SyncPrefectClient, tmp_path: Path
) -> None:
    counts = (PICTURES,) * SHARDS
    lakes = [write_lake(tmp_path / name, counts=counts) for name in ("first", "second")]
    running = group_of_all(client, lakes[0])
    eventually("a shard of the first is done", lambda: scored(lakes[0]), LONG_S)
    with stand.killed("worker-gpu"):
        assert len(scored(lakes[0])) < SHARDS, "nothing was left to go on with"
        assert process_of(running) is not None
    waiting = group_of_all(client, lakes[1])
    first, second = ending(client, running), ending(client, waiting)
    assert is_completed(first)
    assert is_completed(second)
    assert first.run_count == 1
    assert first.end_time is not None
    assert second.start_time is not None
    assert second.start_time >= first.end_time
