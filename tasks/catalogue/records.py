"""The JSON that stages leave in the lake, as rows: commits, cards, scores, models."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tasks.rows import table_of
from tasks.storage import Lake

TEXT = pa.string()
TEXTS = pa.list_(pa.string())
NUMBER = pa.float64()
COUNT = pa.int64()

STAGE_RUN = pa.schema(
    {
        "stage": TEXT,
        "run": TEXT,
        "batch": TEXT,
        "shard": TEXT,
        "n_in": COUNT,
        "n_out": COUNT,
        "seconds": NUMBER,
        "bytes": COUNT,
        "rows": TEXT,
        "versions": TEXT,
        "committed_at": pa.timestamp("s", tz="UTC"),
    }.items()
)
SELECTION = pa.schema(
    {
        "id": TEXT,
        "policy": TEXT,
        "digest": TEXT,
        "batches": TEXTS,
        "caption_runs": TEXTS,
        "evaluation_batches": TEXTS,
        "score_run": TEXT,
        "rbm_run": TEXT,
        "captions": COUNT,
        "selected": COUNT,
        "seconds": NUMBER,
        "thresholds": TEXT,
    }.items()
)
EVALUATION = pa.schema(
    {
        "run": TEXT,
        "model": TEXT,
        "trained_on": TEXTS,
        "batch": TEXT,
        "images": COUNT,
        "baseline": TEXT,
        "score": TEXT,
        "value": NUMBER,
        "low": NUMBER,
        "high": NUMBER,
    }.items()
)
MODEL = pa.schema(
    {"uri": TEXT, "run": TEXT, "step": COUNT, "selections": TEXTS, "facts": TEXT}.items()
)

# What goes into each stage and what comes out of it, among the counts its commits carry.
IN_OUT = {
    "ingestion": ("planned", "kept"),
    "duplicates": ("pictures", "pictures"),
    "captioning": ("pictures", "captions"),
    "scoring": ("scores", "scores"),
    "selection": ("captions", "selected"),
    "embedding": ("vectors", "vectors"),
    "rbm": ("pairs", "pairs"),
}


@dataclass(frozen=True, slots=True)
class Records:
    """Arrow tables by the name they have in the catalogue."""

    tables: dict[str, Any]


def read_records(lake: Lake) -> Records:
    """Read every commit, selection card, evaluation and checkpoint of the lake."""
    models = [_model(path, lake.read_json(path)) for path in _checkpoints(lake)]
    trained = {model["uri"]: model["selections"] for model in models}
    evaluations = [lake.read_json(path) for path in lake.glob("evaluations/*/metrics.json")]
    found = {
        "stage_run": ([_stage_run(r) for r in _all(lake, "commits/*/*/*/*.json")], STAGE_RUN),
        "selection": ([_card(c) for c in _all(lake, "selections/*/selection.json")], SELECTION),
        "evaluation": ([row for e in evaluations for row in _scores(e, trained)], EVALUATION),
        "model": (models, MODEL),
    }
    return Records({name: table_of(rows, schema) for name, (rows, schema) in found.items()})


def _all(lake: Lake, pattern: str) -> list[dict[str, Any]]:
    return [lake.read_json(path) for path in lake.glob(pattern)]


def _checkpoints(lake: Lake) -> list[str]:
    return lake.glob("checkpoints/*/*/checkpoint.json")


def _stage_run(record: Mapping[str, Any]) -> dict[str, Any]:
    counts = record["rows"]
    taken, given = IN_OUT.get(record["stage"], ("", ""))
    return {
        **{name: record[name] for name in ("stage", "run", "batch", "shard", "seconds")},
        "n_in": counts.get(taken),
        "n_out": counts.get(given),
        "bytes": sum(file["bytes"] for file in record["files"]),
        "rows": json.dumps(counts, sort_keys=True),
        "versions": json.dumps(record["versions"], sort_keys=True),
        "committed_at": _seconds_of(record["committed_at"]),
    }


def _seconds_of(moment: str) -> Any:
    return pa.scalar(moment).cast(pa.timestamp("s", tz="UTC")).as_py()


def _card(card: Mapping[str, Any]) -> dict[str, Any]:
    # A card another program wrote may say no more than id and digest.
    how = card.get("how", {})
    named = ("batches", "caption_runs", "evaluation_batches")
    return {
        "id": card["id"],
        "digest": card["digest"],
        "policy": how.get("policy", ""),
        **{name: list(how.get(name, ())) for name in named},
        "score_run": how.get("score_run", ""),
        "rbm_run": how.get("rbm_run", ""),
        "captions": card.get("counts", {}).get("captions"),
        "selected": card.get("counts", {}).get("selected"),
        "seconds": card.get("seconds"),
        "thresholds": json.dumps(how.get("thresholds", {}), sort_keys=True),
    }


def _model(path: str, record: Mapping[str, Any]) -> dict[str, Any]:
    _, run, step, _ = path.split("/")
    facts = record.get("facts", record)
    return {
        "uri": f"checkpoints/{run}/{step}",
        "run": run,
        "step": int(step),
        "selections": list(facts.get("selections") or ()),
        "facts": json.dumps(facts, sort_keys=True, default=str),
    }


def _scores(report: Mapping[str, Any], trained: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    # A model's name is its address with the first digits of its weights' hash.
    uri = next((uri for uri in trained if str(report["model"]).startswith(uri)), "")
    named = {
        **{name: report[name] for name in ("run", "model", "batch", "images")},
        "trained_on": trained.get(uri, []),
    }
    measured = {None: report["scores"], **report.get("baselines", {})}
    return [
        {**named, "baseline": baseline, "score": score, **_estimate(estimate)}
        for baseline, scores in measured.items()
        for score, estimate in scores.items()
    ]


def _estimate(estimate: Mapping[str, Any]) -> dict[str, Any]:
    return {name: estimate.get(name) for name in ("value", "low", "high")}
