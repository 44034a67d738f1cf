"""What infra/prefect.yaml promises is on the server, runs by both its names, and is chained.

The models are untrained and the pictures few: what is shown is who starts whom.
"""

import json

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from tasks.storage import Shard
from tests.champions import crown
from tests.gated_site import gated_site
from tests.stand import ROOT, Stand, eventually, is_completed, runs_of

pytestmark = pytest.mark.slow

PICTURES, SHARD_SIZE = 5, 3


@pytest.fixture(scope="module")
def chained(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> FlowRun:
    """Ingest a batch of the web; return the run of capfilt that this has started, done."""
    crown(stand.lake)
    with gated_site() as site, stand.client() as client:
        table = site.table(tmp_path_factory.mktemp("site") / "web.csv", PICTURES)
        before = {run.id for run in runs_of(client, "capfilt")}
        source = {"batch": "web", "kind": "web", "tables": [str(table)]}
        how = {"shard_size": SHARD_SIZE, "allow_private_hosts": ["127.0.0.1"]}
        started = stand.prefect(
            *("deployment", "run", "ingestion/ingestion"),
            *("--param", f"source={json.dumps(source)}", "--param", f"how={json.dumps(how)}"),
        )
        assert started.returncode == 0, started.stdout + started.stderr

        def fresh() -> list[FlowRun]:
            return [run for run in runs_of(client, "capfilt") if run.id not in before]

        (run,) = eventually("capfilt is started", fresh, within_s=240)
        done = eventually(
            "capfilt completes", lambda: completed(client.read_flow_run(run.id)), within_s=240
        )
        assert isinstance(done, FlowRun)
        return done


def completed(run: FlowRun) -> FlowRun | None:
    return run if is_completed(run) else None


def test_every_deployment_of_the_page_is_on_the_server(client: SyncPrefectClient) -> None:
    page = yaml.safe_load((ROOT / "infra" / "prefect.yaml").read_text())
    there = {one.name: one for one in client.read_deployments(limit=100)}
    assert set(there) == {one["name"] for one in page["deployments"]}
    for one in page["deployments"]:
        found = there[one["name"]]
        assert found.work_pool_name == one["work_pool"]["name"]
        if "concurrency_limit" in one:
            assert found.global_concurrency_limit is not None
            assert found.global_concurrency_limit.limit == one["concurrency_limit"]["limit"] == 1
    assert client.read_work_pool("gpu").concurrency_limit == 1  # of one GPU, or of the CPU
    assert there["sweep"].schedules[0].active
    assert not there["pipeline"].schedules[0].active


def test_a_batch_that_was_ingested_is_captioned_by_itself(stand: Stand, chained: FlowRun) -> None:
    assert chained.parameters["batch"] == "web"
    assert chained.parameters["lake"] == stand.lake.root
    for stage in ("captioning", "scoring"):
        (name,) = stand.lake.folders(f"commits/{stage}")
        shards = stand.lake.committed(stage, name, "web")
        assert shards == [Shard("web", "00000"), Shard("web", "00001")]
        counts = [stand.lake.commit_of(stage, name, shard).rows["pictures"] for shard in shards]
        assert sum(counts) == PICTURES


@pytest.mark.parametrize("name", ["capfilt", "capfilt/capfilt"])
def test_a_deployment_runs_to_its_end_by_either_name_and_does_nothing_twice(
    stand: Stand, chained: FlowRun, name: str
) -> None:
    assert chained
    commits = stand.lake.glob("commits/**/*.json")
    before = {path: stand.lake.read_bytes(path) for path in commits}
    done = stand.prefect("deployment", "run", name, "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "capfilt/capfilt" in done.stdout
    assert "Completed" in done.stdout
    commits = stand.lake.glob("commits/**/*.json")
    assert {path: stand.lake.read_bytes(path) for path in commits} == before
