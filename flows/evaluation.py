"""A model -> scores on pictures it has never seen, against its baselines."""

from dataclasses import asdict
from typing import Any

from prefect import flow

from flows.dispatch import job_task
from flows.environment import this_machine
from flows.runs import exact, run_name
from tasks.evaluation import stage
from tasks.evaluation.settings import Evaluation
from tasks.filter_quality import filter_quality
from tasks.storage import Lake

CHAMPION = "models:/caplift-blip@champion"

evaluate = job_task("evaluate {run}")(stage.evaluate)


@job_task("filter quality {score_run}")
def judge_filter(lake: Lake, score_run: str, batch: str) -> dict[str, Any]:
    """Hold the filter's scores against the planted truth; empty where the truth is not known."""
    if not lake.exists(f"truth/{batch}.parquet"):
        return {}
    return asdict(filter_quality(lake, score_run, batch))


@flow(name="evaluation")
def evaluation(
    model: str = CHAMPION,
    batch: str = "evaluation",
    how: Evaluation | None = None,
    lake: str = "",
) -> str:
    """Evaluate captions and retrieval of a model on a held-out batch.

    Args:
        model: address of the model.
        batch: pictures with human captions that were never trained on.
        how: what is measured, and with how many resamples.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        The evaluation's name: evaluations/<name>/metrics.json.
    """
    machine = this_machine()
    settings = how or Evaluation()
    opened = machine.open_lake(lake)
    address = exact(opened, model)
    run = run_name("evaluation", settings, address, batch)
    evaluate(opened, run, address, batch, settings, machine.device)
    return run
