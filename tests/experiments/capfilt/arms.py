"""The arms: seven ways to choose web pairs, all of them trained on with the same human captions.

raw              every text of the web
raw repeated     the same, and every training is twice as long: is it but more steps?
heuristics       what the cheap rules leave, without any model
ITC              of what they leave, that among the web's best by ITC cosine; the share of the
                 web that counts as best is the filter's
filter           web texts the filter believes (F)
captioner        every text of the web and every synthetic one (C)
captioner+filter the texts of both that the filter believes (C+F): CapFilt
oracle           the texts of the web that the planted truth says are right
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow.parquet as pq

from flows.summary import PipelineResult
from tasks import rows
from tasks.selection import Selection, SelectionCard, select
from tasks.storage import Lake, Shard

CAPFILT = "captioner+filter"
RAW = "raw"
ORACLE = "oracle"
INGESTED = "ingestion"


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to choose, already chosen.

    Attributes:
        name: as in the table.
        selections: ids of what is trained on; the human captions come last.
        texts: how many of the web's pictures' texts that is.
        right: the share of the web's own texts among them that the truth calls right.
        longer: how many times as long its training is.
    """

    name: str
    selections: tuple[str, ...]
    texts: int
    right: float
    longer: int = 1


def arms_of(lake: Lake, summary: PipelineResult, how: Selection) -> list[Arm]:
    """Choose the texts of every arm; what was chosen before is found again.

    Args:
        lake: of a finished demo.
        summary: of its run: captions, scores and the selections it made itself.
        how: the settings of its selection, for the thresholds and the batch.
    """
    ids = {name: str(card["id"]) for name, card in summary.selections.items()}
    truth = _truth(lake)
    written, scores = summary.runs["captions"], summary.runs["scores"]
    kept = _card(lake, ids["kept"])
    web = replace(
        how, batches=tuple(kept["how"]["batches"]), policy="blip", score_run=scores, caption_runs=()
    )
    believed = select(lake, web).id
    plain = select(lake, replace(web, policy="heuristics", score_run="")).id
    chosen = {
        RAW: ids["raw"],
        "raw repeated": ids["raw"],
        "heuristics": plain,
        "filter": believed,
        "captioner": _with_synthetic(lake, ids["raw"], written),
        CAPFILT: ids["kept"],
        ORACLE: _only(lake, ids["raw"], truth),
    }
    return [_arm(lake, name, one, ids["human"], truth) for name, one in chosen.items()]


def _arm(lake: Lake, name: str, selection: str, human: str, truth: Mapping[str, bool]) -> Arm:
    found = [row for table in _tables(lake, selection).values() for row in table]
    web = [truth[row["key"]] for row in found if row["source"] == "web" and row["key"] in truth]
    right = sum(web) / max(len(web), 1)
    longer = 2 if name == "raw repeated" else 1
    return Arm(name, (selection, human), len(found), right, longer)


def _truth(lake: Lake) -> dict[str, bool]:
    """Return by key whether the web's text for a picture is right."""
    table = pq.read_table(lake.local_path("truth", "web.parquet"), columns=["key", "is_noise"])
    return {row["key"]: not row["is_noise"] for row in table.to_pylist()}


def _only(lake: Lake, selection: str, truth: Mapping[str, bool]) -> str:
    return _derived(
        lake,
        ORACLE,
        selection,
        lambda _, found: [row for row in found if truth.get(row["key"], False)],
    )


def _with_synthetic(lake: Lake, selection: str, run: str) -> str:
    def both(shard: Shard, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        columns = rows.SELECTIONS.names
        synthetic = rows.read_rows(lake, lake.rows("captions", run, shard), columns).to_pylist()
        held_out = {row["key"] for row in synthetic} - {row["key"] for row in found}
        return found + [row for row in synthetic if row["key"] not in held_out]

    return _derived(lake, f"captioner-{run}", selection, both)


def _derived(
    lake: Lake,
    name: str,
    selection: str,
    change: Callable[[Shard, list[dict[str, Any]]], list[dict[str, Any]]],
) -> str:
    """Publish a selection no policy describes: another one's rows, changed shard by shard."""
    identity = f"experiment-{rows.fingerprint([name, selection])}"
    card = f"selections/{identity}/selection.json"
    if not lake.exists(card):
        changed = {shard: change(shard, found) for shard, found in _tables(lake, selection).items()}
        for shard, found in changed.items():
            table = rows.table_of(found, rows.SELECTIONS)
            rows.write_rows(lake, lake.rows("selections", identity, shard), table)
        ids = sorted(row["caption_id"] for found in changed.values() for row in found)
        lake.publish_json(card, asdict(_made(identity, ids, _card(lake, selection)["how"])))
    return identity


def _made(identity: str, ids: Iterable[str], how: dict[str, Any]) -> SelectionCard:
    every = list(ids)
    return SelectionCard(
        id=identity,
        digest=rows.fingerprint(every),
        how=how,
        counts={"captions": len(every), "selected": len(every), "dropped": 0},
        sources={},
        reasons=[],
        inputs={},
        seconds=0.0,
    )


def _tables(lake: Lake, selection: str) -> dict[Shard, list[dict[str, Any]]]:
    paths = lake.glob(f"selections/{selection}/*/*.parquet")
    shards = [
        Shard(path.split("/")[-2], path.split("/")[-1].removesuffix(".parquet")) for path in paths
    ]
    return {
        shard: rows.read_rows(lake, lake.rows("selections", selection, shard)).to_pylist()
        for shard in shards
    }


def _card(lake: Lake, selection: str) -> dict[str, Any]:
    return dict(lake.read_json(f"selections/{selection}/selection.json"))
