"""A run whose machine is lost in mid-shard is found, and the retry does only the rest.

The stage is ingestion of a small loopback site, whose requests are counted.
"""

from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prefect.client.orchestration import SyncPrefectClient

from tasks import rows
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.stage import plan
from tasks.storage import Lake, Shard
from tests.gated_site import gated_site
from tests.stand import Stand, deployment_id, eventually, is_completed

pytestmark = pytest.mark.slow

SHARD_SIZE = 3
HOW = Ingestion(shard_size=SHARD_SIZE, timeout_s=90, allow_private_hosts=("127.0.0.1",))


def paths_in(lake: Lake, shard: Shard) -> list[str]:
    """The paths of a planned shard's pictures on the site."""
    urls = rows.read_rows(lake, lake.rows("plans", "", shard), ["url"])["url"].to_pylist()
    return [urlsplit(url).path for url in urls]


def slots_taken(client: SyncPrefectClient) -> int:
    """How many runs of ingestion hold a lease of its one slot."""
    limit = client.read_deployment(deployment_id(client, "ingestion")).global_concurrency_limit
    assert limit is not None
    assert limit.limit == 1
    return limit.active_slots


def test_a_killed_run_is_found_and_does_only_the_rest(
    stand: Stand, client: SyncPrefectClient, tmp_path: Path
) -> None:
    first, second = Shard("killed", "00000"), Shard("killed", "00001")
    with gated_site() as site:
        table = site.table(tmp_path / "killed.csv", 2 * SHARD_SIZE)
        source = Source(batch="killed", kind="human", tables=(str(table),))
        assert plan(stand.lake, source, HOW) == [first, second]
        held = paths_in(stand.lake, second)[0]
        site.held.add(held)
        run = client.create_flow_run_from_deployment(
            deployment_id(client, "ingestion"),
            parameters={"source": asdict(source), "how": asdict(HOW)},
        )
        eventually("the second shard is half done", lambda: site.asked[held], within_s=240)
        eventually(
            "the first shard is done",
            lambda: stand.lake.is_committed("ingestion", "ingestion", first),
        )
        assert not stand.lake.is_committed("ingestion", "ingestion", second)
        committed = stand.lake.read_bytes(stand.lake.commit_path("ingestion", "ingestion", first))
        stand.lose_the_node_of(run)
        assert slots_taken(client) == 1  # nobody is left to give it back
        site.gate.set()
        swept = stand.prefect(
            "deployment", "run", "sweep", "--param", "silent_s=3", "--start-in", "4 seconds"
        )
        assert swept.returncode == 0, swept.stdout + swept.stderr
        eventually(
            "the run completes", lambda: is_completed(client.read_flow_run(run.id)), within_s=240
        )
        assert client.read_flow_run(run.id).run_count == 2
        eventually("its slot is free", lambda: slots_taken(client) == 0)
        assert stand.lake.is_committed("ingestion", "ingestion", second)
        again = stand.lake.read_bytes(stand.lake.commit_path("ingestion", "ingestion", first))
        assert again == committed
        assert [site.asked[path] for path in paths_in(stand.lake, first)] == [1, 1, 1]
        assert site.asked[held] == 2
