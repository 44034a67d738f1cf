"""The cards of a registered model: what it was taught, and what it is worth, for people.

The data card follows every selection that the model or an ancestor was trained on back to who
wrote its captions, what judged them, and the batches the pictures came from. Each is Markdown and
lies beside the weights; the data card is there as JSON too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks import rows
from tasks.metrics.bootstrap import Estimate
from tasks.samples import selected_shards
from tasks.storage import Lake

REASONS_SHOWN = 8
LIMITS = (
    "It has learned from the pictures and texts of the data card, with what they leave out and get "
    "wrong. The scores are of held-out pictures of one kind and say little of others; what it "
    "writes or judges of people, and in any language but its texts', has not been measured."
)


def data_card(lake: Lake, selections: Mapping[str, str]) -> dict[str, Any]:
    """Return what a model was trained on.

    Args:
        lake: where the selections are.
        selections: id and digest of each, ancestors' too.

    Returns:
        `selections`: of each its card with the `writers` of its captions and its `batches`; of one
        that this lake does not hold the digest alone, and `missing` true.
    """
    return {"selections": [_selection(lake, *one) for one in selections.items()]}


def _selection(lake: Lake, name: str, digest: str) -> dict[str, Any]:
    path = f"selections/{name}/selection.json"
    if not lake.exists(path):
        return {"id": name, "digest": digest, "missing": True}
    card = lake.read_json(path)
    how = card.get("how", {})
    batches = sorted({shard.batch for shard in selected_shards(lake, name)})
    return {
        "id": name,
        "digest": digest,
        "missing": False,
        "policy": how.get("policy", ""),
        "thresholds": how.get("thresholds", {}),
        "score_run": how.get("score_run", ""),
        "evaluation_batches": how.get("evaluation_batches", []),
        "counts": card.get("counts", {}),
        "sources": card.get("sources", {}),
        "reasons": card.get("reasons", []),
        "writers": {run: _writers(lake, run) for run in how.get("caption_runs", [])},
        "batches": {batch: _batch(lake, batch) for batch in batches},
    }


def _writers(lake: Lake, caption_run: str) -> list[str]:
    """Return the models that wrote the captions of a run."""
    found: set[str] = set()
    for path in lake.glob(f"captions/{caption_run}/*/*.parquet"):
        column = rows.read_rows(lake, path, ["model"]).column("model")
        found |= {str(model) for model in column.unique().to_pylist() if model}
    return sorted(found)


def _batch(lake: Lake, batch: str) -> dict[str, int]:
    """Return the counts of a batch's ingestion, added up over its shards."""
    total: dict[str, int] = {}
    for shard in lake.committed("ingestion", "ingestion", batch):
        for name, count in lake.commit_of("ingestion", "ingestion", shard).rows.items():
            total[name] = total.get(name, 0) + count
    return total


def data_card_text(card: Mapping[str, Any]) -> str:
    """Return a data card as Markdown."""
    lines = ["# Data card", ""]
    for one in card["selections"]:
        lines += [f"## Selection {one['id']}", "", f"Digest `{one['digest']}`.", ""]
        if one["missing"]:
            lines += ["Its card is not in this lake.", ""]
            continue
        counts = ", ".join(f"{name} {count:,}" for name, count in one["counts"].items())
        held_out = ", ".join(one["evaluation_batches"]) or "none"
        lines += [f"Policy `{one['policy']}`: {counts}. Kept out of it: {held_out}.", ""]
        lines += _table(("source", "captions", "selected"), _sources(one["sources"]))
        lines += _table(("dropped for", "captions", "for this alone"), _reasons(one["reasons"]))
        lines += _table(("pictures of", "counts"), _batches(one["batches"]))
        for run, models in one["writers"].items():
            lines += [f"Captions of `{run}` were written by {', '.join(models) or 'nobody'}.", ""]
        if one["score_run"]:
            lines += [f"Judged by the scores of `{one['score_run']}`.", ""]
    return "\n".join(lines)


def _sources(sources: Mapping[str, Mapping[str, Any]]) -> list[Sequence[Any]]:
    return [(name, one.get("captions"), one.get("selected")) for name, one in sources.items()]


def _reasons(reasons: Sequence[Mapping[str, Any]]) -> list[Sequence[Any]]:
    shown = reasons[:REASONS_SHOWN]
    return [(one["reason"], one.get("n_any"), one.get("n_only")) for one in shown]


def _batches(batches: Mapping[str, Mapping[str, int]]) -> list[Sequence[Any]]:
    return [
        (name, ", ".join(f"{what} {count:,}" for what, count in counts.items()))
        for name, counts in batches.items()
    ]


def model_card(
    name: str,
    about: str,
    lineage: Mapping[str, Any],
    metrics: Mapping[str, Estimate],
    report: Mapping[str, Any],
) -> str:
    """Return a model card as Markdown.

    Args:
        name: as it is registered.
        about: what it does and how it is used.
        lineage: as it is registered.
        metrics: what it reached.
        report: of its evaluation: `batch`, `images`, `baselines`, `leakage`; empty without one.
    """
    lines = [f"# {name}", "", about, "", "## What it reached", ""]
    if report:
        leaks = report["leakage"]
        what = "questions about" if report.get("task") == "answers" else "held-out"
        lines += [
            f"On {report['images']:,} {what} pictures of `{report['batch']}`; of the pictures "
            f"{leaks['leaked']} are among the {leaks['training_pictures']:,} training pictures and "
            f"{leaks['by_phash']} look nearly like one.",
            "",
        ]
    baselines: Mapping[str, Mapping[str, Any]] = report.get("baselines", {})
    header = ("metric", "value [95 % interval]", *baselines)
    lines += _table(
        header,
        (
            (metric, str(one), *(_baseline(own, metric) for own in baselines.values()))
            for metric, one in metrics.items()
        ),
    )
    lines += ["## Where it ends", "", LIMITS, "", "## Where it comes from", ""]
    lines += _table(("", ""), ((key, f"`{value}`") for key, value in _facts(lineage)))
    return "\n".join(lines)


def _facts(lineage: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for key, value in lineage.items():
        if isinstance(value, Mapping):
            yield from ((f"{key} {name}", one) for name, one in value.items())
        elif isinstance(value, list | tuple):
            yield from ((key, one) for one in value)
        elif value:
            yield key, value


def _baseline(scores: Mapping[str, Any], metric: str) -> str:
    return f"{scores[metric]['value']:.4g}" if metric in scores else ""


def _table(header: Sequence[str], found: Iterable[Sequence[Any]]) -> list[str]:
    listed = [f"| {' | '.join(str(cell) for cell in row)} |" for row in found]
    if not listed:
        return []
    return [f"| {' | '.join(header)} |", "|" + "---|" * len(header), *listed, ""]
