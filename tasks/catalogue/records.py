"""The JSON that stages leave in the lake, as rows: commits, cards, scores, models."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from tasks.catalogue.lessons import LESSON, lessons
from tasks.catalogue.sources import Sources
from tasks.rows import table_of

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
        "n_dropped": COUNT,
        "n_failed": COUNT,
        "seconds": NUMBER,
        "gpu_seconds": NUMBER,
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
        "rerank_run": TEXT,
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
    {
        "uri": TEXT,
        "run": TEXT,
        "step": COUNT,
        "weights": TEXT,
        "start": TEXT,
        "selections": TEXTS,
        "facts": TEXT,
    }.items()
)
SHARD = pa.schema(
    {
        "stage": TEXT,
        "run": TEXT,
        "batch": TEXT,
        "shard": TEXT,
        "path": TEXT,
        "bytes": COUNT,
        "sha256": TEXT,
    }.items()
)
VERSION = pa.schema(
    {
        "name": TEXT,
        "version": TEXT,
        "uri": TEXT,
        "checkpoint": TEXT,
        "alias": TEXT,
        "reason": TEXT,
        "selections": TEXTS,
        "pipeline": TEXT,
        "evaluation": TEXT,
        "revision": TEXT,
        "facts": TEXT,
    }.items()
)
RUN = pa.schema(
    {
        "run": TEXT,
        "is_finished": pa.bool_(),
        "revision": TEXT,
        "plan": TEXT,
        "models": TEXT,
        "runs": TEXT,
    }.items()
)

# What goes into each stage and what comes out of it, among the counts its commits carry.
IN_OUT = {
    "ingestion": ("planned", "kept"),
    "duplicates": ("pictures", "pictures"),
    "captioning": ("pictures", "captions"),
    "scoring": ("scores", "scores"),
    "canary": ("pairs", "pairs"),
    "selection": ("captions", "selected"),
    "embedding": ("vectors", "vectors"),
    "rbm": ("pairs", "pairs"),
    "reranking": ("candidates", "candidates"),
}


def record_tables(sources: Sources) -> dict[str, pa.Table]:
    """Return what the JSON of stages says as tables, by the name each has in the catalogue."""
    commits = sources.records("stage_run")
    models = [_model(path, card) for path, card in sources.records("model")]
    machines = [_machine(path, card, commits) for path, card in sources.records("machine")]
    trained = {str(model["uri"]): model["selections"] for model in models}
    evaluations = sources.records("evaluation")
    # Beside the versions of a name lies which of them is its champion.
    versions = [_version(r) for _, r in sources.records("version") if "version" in r]
    found = {
        "stage_run": ([_stage_run(record) for _, record in commits], STAGE_RUN),
        "shard": ([row for _, record in commits for row in _files(record)], SHARD),
        "selection": ([_card(card) for _, card in sources.records("selection")], SELECTION),
        "evaluation": ([row for _, e in evaluations for row in _scores(e, trained)], EVALUATION),
        "model": ([*models, *machines], MODEL),
        "version": (versions, VERSION),
        "run": (_runs(sources.records("run")), RUN),
        "lesson": (lessons([*models, *machines], versions), LESSON),
    }
    return {name: table_of(rows, schema) for name, (rows, schema) in found.items()}


def _stage_run(record: Mapping[str, Any]) -> dict[str, Any]:
    counts = record["rows"]
    taken, given = IN_OUT.get(record["stage"], ("", ""))
    on_gpu = record["versions"].get("device", "").startswith("cuda")
    return {
        **{name: record[name] for name in ("stage", "run", "batch", "shard", "seconds")},
        "n_in": counts.get(taken),
        "n_out": counts.get(given),
        "n_dropped": counts.get("dropped", 0),
        "n_failed": counts.get("failed", 0) + counts.get("unscored", 0),
        "gpu_seconds": record["seconds"] if on_gpu else 0.0,
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
        "rerank_run": how.get("rerank_run", ""),
        "captions": card.get("counts", {}).get("captions"),
        "selected": card.get("counts", {}).get("selected"),
        "seconds": card.get("seconds"),
        "thresholds": json.dumps(how.get("thresholds", {}), sort_keys=True),
    }


def _files(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    of = {name: record[name] for name in ("stage", "run", "batch", "shard")}
    return [{**of, **{n: file[n] for n in ("path", "bytes", "sha256")}} for file in record["files"]]


def _model(path: str, card: Mapping[str, Any]) -> dict[str, Any]:
    _, run, step, _ = path.split("/")
    facts = card.get("facts", card)
    weights = card.get("files", {}).get("model.safetensors", {})
    return {
        "uri": f"checkpoints/{run}/{step}",
        "run": run,
        "step": int(step),
        "weights": weights.get("sha256"),
        "start": facts.get("started_from") or facts.get("start") or None,
        "selections": list(facts.get("selections") or ()),
        "facts": json.dumps(facts, sort_keys=True, default=str),
    }


def _machine(
    path: str, card: Mapping[str, Any], commits: Sequence[tuple[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    """An RBM starts from the model whose vectors it is fitted on, and from what those embed."""
    run = path.split("/")[1]
    vectors = card.get("vectors", "")
    made = [r["versions"] for _, r in commits if (r["stage"], r["run"]) == ("embedding", vectors)]
    told = made[0] if made else {}
    return {
        "uri": f"rbms/{run}",
        "run": run,
        "start": told.get("model"),
        "selections": told.get("selection", "").split(),
        "facts": json.dumps(card, sort_keys=True, default=str),
    }


def _version(record: Mapping[str, Any]) -> dict[str, Any]:
    decision = record.get("decision", {})
    told = ("name", "version", "uri", "checkpoint", "pipeline", "evaluation", "revision")
    return {
        **{name: record.get(name) for name in told},
        "alias": record.get("alias", decision.get("alias")),
        "reason": decision.get("reason"),
        "selections": list(record.get("selections", ())),
        "facts": json.dumps(record, sort_keys=True),
    }


def _runs(records: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the pipeline's runs: a plan, and once it is done a summary beside it."""
    found: dict[str, dict[str, Any]] = {}
    for path, record in records:
        _, run, name = path.split("/")
        row = found.setdefault(run, {"run": run, "is_finished": False})
        if name == "plan.json":
            row["plan"] = json.dumps(record, sort_keys=True)
        elif name == "summary.json":
            row |= {"is_finished": True, "revision": record.get("revision")}
            row |= {n: json.dumps(record.get(n, {}), sort_keys=True) for n in ("models", "runs")}
    return list(found.values())


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
