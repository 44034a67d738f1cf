"""Models that are done -> versions in the registry; those that pass their gate become champions."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flows.dispatch import job_task
from flows.environment import revision, this_machine
from tasks.registry import promote, register_model
from tasks.storage import Lake


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A model that may become champion.

    Attributes:
        name: as it is registered.
        folder: where it lies in the lake.
        lineage: what it came from.
        metrics: what it reached.
        judged_by: the metric that decides, higher is better.
        minimum: what it must reach at least, such as chance.
    """

    name: str
    folder: str
    lineage: Mapping[str, Any]
    metrics: Mapping[str, float]
    judged_by: str
    minimum: float


@job_task("register {candidate.name}")
def register(lake: Lake, candidate: Candidate) -> str:
    """Register one model and return its version and alias, such as `3 champion`."""
    where = this_machine().mlflow_uri(lake)
    lineage = {**candidate.lineage, "revision": revision(), "checkpoint": candidate.folder}
    with _local_copy(lake, candidate.folder) as folder:
        made = register_model(where, candidate.name, folder, lineage, candidate.metrics)
    verdict = promote(where, made.name, made.version, candidate.judged_by, candidate.minimum)
    return f"{made.version} {verdict.alias}"


@contextlib.contextmanager
def _local_copy(lake: Lake, folder: str) -> Iterator[Path]:
    """Give the folder as it lies on this disk, or a copy of it from the object store."""
    if lake.is_local:
        yield lake.local_path(folder)
        return
    with tempfile.TemporaryDirectory() as copy:
        target = Path(copy) / Path(folder).name
        lake.fs.get(lake.path(folder), str(target), recursive=True)
        yield target


def candidates(
    run: str, models: Mapping[str, str], found: Mapping[str, Any], selections: Mapping[str, Any]
) -> list[Candidate]:
    """Return the four models of a finished run with what judges each.

    Args:
        run: the pipeline run; its plan lies in runs/<run>/plan.json.
        models: address of each model, and of the RBM's folder.
        found: `scores` by model as evaluations report them, and the RBM's metrics.
        selections: digest of each selection.
    """
    lineage = {"pipeline": run, "plan": f"runs/{run}/plan.json", "selections": dict(selections)}
    made = [
        _judged("caplift-captioner", models["captioner"], found["scores"]["captioner"], "cider_d"),
        _judged("caplift-filter", models["filter"], found["scores"]["filter"], "itm_tr_r1"),
        _judged("caplift-blip", models["selected"], found["scores"]["selected"], "itm_tr_r1"),
        Candidate(
            name="caplift-rbm",
            folder=models["rbm"],
            lineage={},
            metrics={k: float(v) for k, v in found["rbm"].items()},
            judged_by="nats_over_full_gaussian",
            minimum=0.0,  # a machine below the full Gaussian is worth nothing
        ),
    ]
    return [replace(one, lineage={**lineage, "run": _run_of(one.folder)}) for one in made]


def _judged(name: str, folder: str, report: Mapping[str, Any], metric: str) -> Candidate:
    """Return a candidate that has to be better than chance."""
    chance = report["baselines"]["chance"].get(metric, {"value": 0.0})
    return Candidate(
        name=name,
        folder=folder,
        lineage={},
        metrics={score: one["value"] for score, one in report["scores"].items()},
        judged_by=metric,
        minimum=chance["value"],
    )


def _run_of(folder: str) -> str:
    return folder.split("/")[1]
