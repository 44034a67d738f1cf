"""What pretraining and finetuning share: take the steps, show them, log them, name the result."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from flows.environment import this_machine
from tasks.checkpoints import newest
from tasks.curves import write_curve
from tasks.errors import ModelError
from tasks.progress import track
from tasks.regimen import Regimen
from tasks.samples import selection_digest
from tasks.storage import Lake
from tasks.tracking import Tracker
from tasks.training import StepMetrics

LOG_EVERY = 10  # MLflow's SQLite takes 60 to 80 ms a write


def followed(
    lake: Lake, run: str, selections: tuple[str, ...], how: Regimen, steps: Iterator[StepMetrics]
) -> str:
    """Take every step that is left and return the address of the final checkpoint.

    The loop yields numbers and does not know who listens; here MLflow and a progress bar do.

    Raises:
        ModelError: the loop ended without a final checkpoint.
    """
    where, stage = this_machine().mlflow_uri(lake), run.rsplit("-", 1)[0]
    with Tracker(where, run, stage=stage, parameters=asdict(how)) as tracker:
        for name in selections:
            card = f"selections/{name}/selection.json"
            tracker.log_selection(name, selection_digest(lake, name), card)
        points = list(_watched(track(steps, run, how.steps), how.steps, tracker))
    write_curve(lake, run, points)
    found = newest(lake, run)
    if found is None or not found.is_final:
        raise ModelError(f"run {run} in {lake.root} stopped before its last step; run it again")
    return found.uri


def _watched(
    steps: Iterable[StepMetrics], total: int, tracker: Tracker
) -> Iterator[tuple[int, str, float]]:
    """Log every tenth step and yield its numbers as points of the curve."""
    for metrics in steps:
        if metrics.step % LOG_EVERY == 0 or metrics.step in (1, total):
            values = {**metrics.losses, "loss": metrics.total, "learning_rate": metrics.lr}
            values["samples_per_s"] = metrics.samples_per_s
            tracker.log(values, metrics.step)
            yield from ((metrics.step, name, value) for name, value in values.items())
