"""The models of a finished run that may become champions: what each came from and is judged by."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.checkpoint_files import CARD
from tasks.errors import InputError
from tasks.evaluation.leakage import trained_on
from tasks.evaluation.report import EvaluationReport, read_report
from tasks.fitted import rbm_path
from tasks.gate import Gate
from tasks.metrics.bootstrap import Estimate
from tasks.storage import Lake

ANSWERER = "caplift-vqa"
# What decides; the floor of each is what chance reaches. Who gives one answer to every question
# reaches what the commonest answer does, and has to be beaten.
GATE_METRICS = {
    "caplift-captioner": ("cider_d", "bleu_4"),
    "caplift-filter": ("itm_tr_r1", "itm_ir_r1"),
    "caplift-blip": ("itm_tr_r1", "itm_ir_r1", "cider_d"),
    ANSWERER: ("vqa_accuracy",),
}
# A machine below the full Gaussian is worth nothing.
RBM_METRIC, RBM_FLOOR = "nats_over_full_gaussian", 0.0
NORMAL_95 = 1.96


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A model that may become champion.

    Attributes:
        name: as it is registered.
        folder: where it lies in the lake.
        lineage: what it came from: run, plan, pipeline, selections (id: digest), parents, revision.
        metrics: what it reached.
        gate: what it must reach.
        evaluation: the name of its evaluation in the lake; empty for a model without pictures.
    """

    name: str
    folder: str
    lineage: Mapping[str, Any]
    metrics: Mapping[str, Estimate]
    gate: Gate
    evaluation: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


def candidate_of(
    lake: Lake, name: str, folder: str, evaluation: str, lineage: Mapping[str, Any]
) -> Candidate:
    """Return a trained model with its evaluation.

    Args:
        lake: where both lie.
        name: as it is registered.
        folder: its checkpoint.
        evaluation: name of its evaluation.
        lineage: what the checkpoint does not know: pipeline, plan, revision.

    Raises:
        LakeError: there is no such evaluation.
        InputError: it is of answers in a file, not of a model.
    """
    facts = lake.read_json(f"{folder}/{CARD}")["facts"]
    report = read_report(lake, evaluation)
    if "leaked" not in report.leakage:
        raise InputError(f"evaluation {evaluation} is of answers in a file: let {folder} answer")
    came_from = {"selections": trained_on(facts), "parents": list(_parents(facts))}
    return Candidate(
        name=name,
        folder=folder,
        lineage={**lineage, "run": folder.split("/")[1], **came_from},
        metrics=report.scores,
        gate=Gate(floors=_floors(report, name), leaked=int(report.leakage["leaked"])),
        evaluation=evaluation,
    )


def _floors(report: EvaluationReport, name: str) -> dict[str, float]:
    """Return the least value of each gate metric; of one without a baseline 0."""
    if name == ANSWERER:
        own = report.baselines["commonest"]
        return {one: math.nextafter(own[one].value, math.inf) for one in GATE_METRICS[name]}
    own = report.baselines["chance"]
    return {one: own[one].value if one in own else 0.0 for one in GATE_METRICS[name]}


def unjudged(lake: Lake, name: str, folder: str, lineage: Mapping[str, Any]) -> Candidate:
    """Return a trained model that nobody has evaluated; arguments as `candidate_of`."""
    facts = lake.read_json(f"{folder}/{CARD}")["facts"]
    came_from = {"selections": trained_on(facts), "parents": list(_parents(facts))}
    return Candidate(
        name=name,
        folder=folder,
        lineage={**lineage, "run": folder.split("/")[1], **came_from},
        metrics={},
        gate=Gate(floors=dict.fromkeys(GATE_METRICS[name], math.inf)),
    )


def rbm_candidate(
    lake: Lake, folder: str, parent: str, selections: Mapping[str, str], lineage: Mapping[str, Any]
) -> Candidate:
    """Return a fitted machine; `parent` is the model whose vectors it was fitted on."""
    run = folder.split("/")[1]
    record = lake.read_json(rbm_path(run, "rbm.json"))
    found = {k: float(v) for k, v in record["metrics"].items()}
    metrics = {k: _with_error(v, found.get(f"{k}_se", 0.0)) for k, v in found.items()}
    came_from = {"selections": dict(selections), "parents": [parent], "vectors": record["vectors"]}
    return Candidate(
        name="caplift-rbm",
        folder=folder,
        lineage={**lineage, "run": run, **came_from},
        metrics=metrics,
        gate=Gate(floors={RBM_METRIC: RBM_FLOOR}, gains=(RBM_METRIC,)),
    )


def _with_error(value: float, standard_error: float) -> Estimate:
    reach = NORMAL_95 * standard_error
    return Estimate(value, value - reach, value + reach)


def _parents(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the models that a checkpoint was started from, the nearest first."""
    if facts.get("started_from"):
        yield str(facts["started_from"])
        yield from _parents(facts.get("start_facts", {}))
