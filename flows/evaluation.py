"""A model -> scores on what it has never seen, against its baselines.

What is asked is captions and retrieval of the held-out batch, or one of `tasks.evaluation.exams`:

    prefect deployment run evaluation -p 'exam={"zero_shot": {"labels": {"images": "val/"}}}'
"""

from dataclasses import asdict
from typing import Any

from prefect import flow

from flows.dispatch import job_task
from flows.environment import this_machine
from flows.runs import exact, run_name
from tasks.evaluation import exams, stage
from tasks.evaluation.exams import Exam
from tasks.evaluation.settings import Evaluation
from tasks.filter_quality import filter_quality
from tasks.storage import Lake

CHAMPION = "models:/caplift-blip@champion"

evaluate = job_task("evaluate {run}")(stage.evaluate)
examine = job_task("examine {run}")(exams.examine)


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
    exam: Exam | None = None,
) -> str:
    """Evaluate captions and retrieval of a model on a held-out batch, or take another exam.

    Args:
        model: address of the model.
        batch: pictures with human captions that were never trained on.
        how: what is measured of captions, and with how many resamples.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.
        exam: zero-shot classes, a linear probe, answers or videos, instead of captions.

    Returns:
        The evaluation's name: evaluations/<name>/metrics.json.
    """
    machine = this_machine()
    opened = machine.open_lake(lake)
    address = exact(opened, model)
    if exam is not None:
        run = run_name(exam.task, exam, address)
        examine(opened, run, address, exam, machine.device)
        return run
    settings = how or Evaluation()
    run = run_name("evaluation", settings, address, batch)
    evaluate(opened, run, address, batch, settings, machine.device)
    return run
