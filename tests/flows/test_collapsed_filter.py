"""A filter that says one thing of nearly everything fails its gate, and nothing follows from it.

Its scores stay in the lake to be looked at: on the page of its run, in the verdict and in an event
stands by how much it failed; no selection of them is trained on, published or made champion.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient

from tasks import rows
from tasks.catalogue.verdicts import read_checks
from tasks.selection import Selection, select
from tasks.storage import Lake, Shard
from tests.champions import crown
from tests.gate_lakes import COUNT, lake_of
from tests.lakes import CAPTIONER, FILTER
from tests.small_lake import write_lake
from tests.stand import Stand, runs_of

pytestmark = pytest.mark.slow


def with_probability(lake: Lake, keeps: int) -> None:
    """Let the filter accept the first so many texts of each source, and none else."""
    seen: dict[str, int] = {}
    for number in range(3):
        shard = Shard("web", f"{number:05d}")
        source = {
            row["caption_id"]: row["source"]
            for run in ("ingestion", CAPTIONER)
            for row in rows.read_rows(lake, lake.rows("captions", run, shard)).to_pylist()
        }
        scores = rows.read_rows(lake, lake.rows("scores", FILTER, shard)).to_pylist()
        for row in scores:
            kind = source[row["caption_id"]]
            seen[kind] = seen.get(kind, 0) + 1
            row["itm_probability"] = 0.9 if seen[kind] <= keeps else 0.1
        path = lake.rows("scores", FILTER, shard)
        rows.write_rows(lake, path, rows.table_of(scores, rows.SCORES))


@pytest.fixture(params=[2, COUNT], ids=["it keeps 1.7 %", "it keeps all"])
def collapsed(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    lake = lake_of(tmp_path)
    with_probability(lake, request.param)
    return lake


def typed(stand: Stand, name: str, **parameters: Any) -> str:
    words = [f"{key}={json.dumps(value)}" for key, value in parameters.items()]
    done = stand.prefect(
        *("deployment", "run", f"{name}/{name}", "--watch"),
        *(part for word in words for part in ("--param", word)),
    )
    assert done.returncode != 0, done.stdout
    assert "finished in state 'Failed'" in done.stdout, done.stdout + done.stderr
    return done.stdout


def test_nothing_is_trained_on_or_published_from_what_it_chose(
    collapsed: Lake, stand: Stand, tmp_path: Path
) -> None:
    how = Selection(batches=("web",), caption_runs=(CAPTIONER,), score_run=FILTER)
    card = select(collapsed, how)
    folder = tmp_path / "published"
    typed(stand, "pretraining", selections=[card.id], lake=collapsed.root)
    assert "G8" in read_checks(collapsed)[-1]["failed"]
    typed(stand, "publish", selection=card.id, folder=str(folder), lake=collapsed.root)
    assert "G8" in read_checks(collapsed)[-1]["failed"]
    assert not folder.exists()
    assert not collapsed.exists("checkpoints")
    assert not collapsed.exists("mlflow.db")


def test_the_run_that_made_its_scores_fails_and_keeps_them(
    stand: Stand, client: SyncPrefectClient, tmp_path: Path
) -> None:
    lake = write_lake(tmp_path / "lake", counts=(11,))
    crown(lake)  # untrained, the filter accepts every text
    typed(stand, "capfilt", batch="web", how={"captions_per_image": 13}, lake=lake.root)
    last = read_checks(lake)[-1]
    assert last["run"].startswith("scores-")
    assert "G9" in last["failed"]
    scores = lake.folders("scores")
    assert scores == [last["run"]]
    assert lake.committed("scoring", scores[0], "web") == [Shard("web", "00000")]
    run = max(runs_of(client, "capfilt"), key=lambda one: str(one.created))
    assert run.state is not None
    assert "gate G9 fail: Synthetic texts that the filter rejects is 0 on" in (
        run.state.message or ""
    )
