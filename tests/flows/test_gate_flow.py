"""What the gates say is on the page of their run and in an event, overrides with their reasons."""

import json
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from tasks import rows
from tasks.catalogue.verdicts import read_checks
from tasks.selection import Selection, select
from tasks.storage import open_lake
from tests.gate_lakes import sentence
from tests.lakes import Painted, Text, new_lake, write_batch
from tests.stand import Stand, eventually

pytestmark = pytest.mark.slow

REASON = "the site was down while we crawled"


@pytest.fixture(scope="module")
def half_lost(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run the deployment quality over a lake of which half did not come; return the lake."""
    lake = new_lake(tmp_path_factory.mktemp("lake"))
    gone = rows.Outcome.DNS
    pictures = [
        Painted(
            name=f"p{n}",
            texts=[Text(text=sentence(n), itm=None)],
            outcome=gone if n % 2 else rows.Outcome.KEPT,
        )
        for n in range(101)
    ]
    write_batch(lake, "web", pictures, per_shard=101)
    check = {"overrides": [{"gate": "G2", "why": REASON, "who": "a tester"}]}
    done = stand.prefect(
        *("deployment", "run", "quality/quality", "--watch"),
        *("--param", f"lake={json.dumps(lake.root)}", "--param", 'run="half-lost"'),
        *("--param", f"check={json.dumps(check)}"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return lake.root


def artifact(client: SyncPrefectClient, key: str) -> Any:
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    found = client.read_artifacts(artifact_filter=wanted)
    return max(found, key=lambda one: str(one.created)).data


def test_the_verdicts_are_a_table_on_the_runs_page(
    half_lost: str, client: SyncPrefectClient
) -> None:
    table = json.loads(artifact(client, "gates"))
    (worst,) = [row for row in table if row["status"] == "fail"]
    assert worst == table[0]
    assert (worst["gate"], worst["on"], worst["number"]) == ("G2", "web", "0.505")
    assert (worst["overridden by"], worst["because"]) == ("a tester", REASON)
    assert {row["gate"] for row in table} == {f"G{number}" for number in range(1, 20)}
    assert f"{half_lost}/reports/half-lost/report.html" in artifact(client, "report")


def test_an_event_tells_what_failed_and_who_took_it_on(
    half_lost: str, client: SyncPrefectClient
) -> None:
    def told() -> list[dict[str, Any]]:
        wanted = {"filter": {"event": {"name": ["caplift.gates.overridden"]}}, "limit": 10}
        answer = client.request("POST", "/events/filter", json=wanted)
        return [one for one in answer.json()["events"] if one["payload"]["lake"] == half_lost]

    event = eventually("the event is there", told, within_s=30)[0]
    assert event["resource"]["prefect.resource.id"] == "caplift.gates.half-lost"
    assert event["payload"]["failed"] == ["G2"]
    assert event["payload"]["standing"] == []
    assert event["payload"]["overrides"] == [{"gate": "G2", "who": "a tester", "why": REASON}]


def test_a_training_that_is_started_by_itself_stops_at_a_failed_gate(
    half_lost: str, stand: Stand
) -> None:
    lake = open_lake(half_lost)
    card = select(lake, Selection(policy="raw", batches=("web",)))
    arguments = ("--param", f"selections={json.dumps([card.id])}", "--param", f'lake="{half_lost}"')
    stopped = stand.prefect("deployment", "run", "pretraining/pretraining", "--watch", *arguments)
    assert stopped.returncode != 0
    assert "finished in state 'Failed'" in stopped.stdout
    last = read_checks(lake)[-1]
    assert last["run"].startswith("pretraining-")
    assert last["failed"] == ["G2"]
    assert not lake.exists("checkpoints")
