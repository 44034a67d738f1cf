"""What pretraining and finetuning share: take the steps, show them, log them, name the result."""

from collections.abc import Iterator

from tasks.checkpoints import newest
from tasks.errors import ModelError
from tasks.progress import track
from tasks.registry import Tracker
from tasks.storage import Lake
from tasks.training import StepMetrics

LOG_EVERY = 10  # MLflow's SQLite takes 60 to 80 ms a write


def followed(lake: Lake, run: str, steps: Iterator[StepMetrics], total: int, to: Tracker) -> str:
    """Take every step that is left and return the address of the final checkpoint.

    The loop yields numbers and does not know who listens; here MLflow and a progress bar do.

    Raises:
        ModelError: the loop ended without a final checkpoint.
    """
    for metrics in track(steps, run, total):
        if metrics.step % LOG_EVERY == 0 or metrics.step in (1, total):
            values = {**metrics.losses, "loss": metrics.total, "learning_rate": metrics.lr}
            to.log({**values, "samples_per_s": metrics.samples_per_s}, step=metrics.step)
    found = newest(lake, run)
    if found is None or not found.is_final:
        raise ModelError(f"run {run} in {lake.root} stopped before its last step; run it again")
    return found.uri
