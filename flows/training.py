"""What pretraining and finetuning share: take the steps, show them, log them, keep the result."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from prefect import runtime

from flows.dispatch import job_task
from flows.environment import revision, this_machine
from flows.evaluation import evaluation
from flows.registration import register
from tasks.checkpoints import newest
from tasks.contenders import ANSWERER, candidate_of, unjudged
from tasks.curves import write_curve
from tasks.errors import ModelError
from tasks.evaluation.answers import Answers
from tasks.evaluation.exams import Exam
from tasks.evaluation.settings import Evaluation
from tasks.finetuning.settings import Finetuning
from tasks.launching import Training, steps_of
from tasks.pretraining import Pretraining
from tasks.progress import track
from tasks.registration import register_unjudged
from tasks.samples import selection_digest
from tasks.storage import Lake
from tasks.tracking import Tracker
from tasks.training import StepMetrics

LOG_EVERY = 10  # MLflow's SQLite takes 60 to 80 ms a write
COMMIT_TAG = "mlflow.source.git.commit"  # where MLflow's pages look for it


@dataclass(frozen=True, kw_only=True, slots=True)
class Registering:
    """How a finished model enters the registry.

    Attributes:
        batch: pictures with human captions that were never trained on; the model is evaluated on
            them and meets the gate. Empty registers it unjudged: a version that no alias names.
        evaluation: what is measured there.
        answers: questions by which a model that answers is evaluated and meets its gate; without
            them it is registered unjudged.
    """

    batch: str = ""
    evaluation: Evaluation = field(default_factory=Evaluation)
    answers: Answers | None = None

    def exam(self, name: str) -> Exam | None:
        """Return what a registered model is asked besides captions; None asks for these."""
        return Exam(answers=self.answers) if name == ANSWERER and self.answers else None


def trained(
    lake: Lake,
    run: str,
    kind: str,
    selections: tuple[str, ...],
    how: Pretraining | Finetuning,
    start: str = "",
) -> str:
    """Take every step that is left and return the address of the final checkpoint.

    The loop yields numbers and does not know who listens; here MLflow and a progress bar do. On a
    machine with several GPUs torchrun starts a rank for each.

    Args:
        lake: where all of it lies.
        run: the run's name.
        kind: "pretraining", or a kind of finetuning.
        selections: ids of what to train on.
        how: settings.
        start: address of what finetuning begins with.

    Raises:
        ModelError: the loop ended without a final checkpoint.
    """
    machine = this_machine()
    job = Training(
        kind=kind,
        lake=lake.root,
        run=run,
        selections=selections,
        settings=asdict(how),
        start=start,
        device=machine.device,
        revision=revision(),
    )
    digests = {name: selection_digest(lake, name) for name in selections}
    with Tracker(machine.mlflow_uri(lake), run, stage=kind, parameters=asdict(how)) as tracker:
        tracker.log_texts({"plan.json": _resolved(job, how, digests, machine.ranks)})
        tracker.tag({COMMIT_TAG: job.revision, "caplift.revision": job.revision})
        for name, digest in digests.items():
            tracker.log_selection(name, digest, f"selections/{name}/selection.json")
        steps = track(steps_of(job, machine.ranks), run, how.steps)
        points = list(_watched(steps, how.steps, tracker))
    write_curve(lake, run, points)
    found = newest(lake, run)
    if found is None or not found.is_final:
        raise ModelError(f"run {run} in {lake.root} stopped before its last step; run it again")
    return found.uri


def _resolved(
    job: Training, how: Pretraining | Finetuning, digests: Mapping[str, str], ranks: int
) -> str:
    """Return the whole plan of a run as JSON, with what its settings leave to be derived."""
    derived: dict[str, Any] = {"objective": asdict(how.objective_used), "ranks": ranks}
    plan = {**asdict(job), "selections": digests, **derived}
    return json.dumps(plan, indent=2, sort_keys=True) + "\n"


def _watched(
    steps: Iterable[StepMetrics], total: int, tracker: Tracker
) -> Iterator[tuple[int, str, float]]:
    """Log every tenth step and yield its numbers as points of the curve."""
    for metrics in steps:
        if metrics.step % LOG_EVERY == 0 or metrics.step in (1, total):
            values = {**metrics.losses, "loss": metrics.total, "learning_rate": metrics.lr}
            values |= {"samples_per_s": metrics.samples_per_s, "grad_norm": metrics.grad_norm}
            tracker.log({**values, **metrics.use}, metrics.step)
            yield from ((metrics.step, name, value) for name, value in values.items())


def registered(lake: Lake, name: str, uri: str, how: Registering | None) -> None:
    """Make a finished model a version; inside a pipeline that is done at its end."""
    if how is None and runtime.flow_run.parent_flow_run_id:
        return
    lineage = {"revision": revision()}
    exam = how.exam(name) if how else None
    if how is None or not (exam if name == ANSWERER else how.batch):
        keep(lake, name, uri, lineage)
        return
    judged = evaluation(uri, how.batch, how.evaluation, lake.root, exam)
    register(lake, candidate_of(lake, name, uri, judged, lineage))


@job_task("register {name}")
def keep(lake: Lake, name: str, uri: str, lineage: dict[str, str]) -> str:
    """Register a model that nobody has evaluated; return its version."""
    where = this_machine().mlflow_uri(lake)
    return register_unjudged(lake, where, unjudged(lake, name, uri, lineage)).version
