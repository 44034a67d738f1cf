"""What is held fixed: the pictures, the model, the steps, the held-out pictures, and the seeds.

Each arm's selection and the human captions pretrain the plan's model from scratch, once a seed,
with the same number of steps and so the same number of pairs seen; it is evaluated on pictures no
arm holds. Captioner and filter are those of the finished run, made of its raw model and the human
captions. Finished trainings are found again, so a stopped experiment goes on.

The question is put before the numbers are seen: is captioner+filter above raw in R@1 (ITM, picture
to text) by more than two pooled standard deviations?
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace

from rich.console import Console

from flows.plan import Plan
from flows.runs import contents, run_name
from flows.summary import PipelineResult, finished_summary, read_summary
from tasks.checkpoints import newest
from tasks.errors import InputError, ModelError
from tasks.evaluation.stage import evaluate
from tasks.pretraining import pretrain
from tasks.progress import track
from tasks.settings import settings_from
from tasks.storage import Lake, open_lake
from tests.experiments.capfilt.arms import Arm, arms_of
from tests.experiments.capfilt.report import SCORES, Scores, arms_table, draw, verdicts

log = logging.getLogger("tasks.experiment")

RESULT = "experiments/capfilt.json"


def scores_of(lake: Lake, plan: Plan, arm: Arm, seed: int) -> Scores:
    """Train one arm from one seed and return its scores on the held-out pictures.

    Raises:
        ModelError: the training diverged or was stopped.
    """
    steps = plan.pretraining.steps * arm.longer
    how = replace(plan.pretraining, seed=seed, steps=steps)
    run = run_name("pretraining", how, contents(lake, arm.selections))
    for _ in track(pretrain(lake, run, arm.selections, how), f"{arm.name}, {seed}", how.steps):
        pass
    found = newest(lake, run)
    if found is None or not found.is_final:
        raise ModelError(f"run {run} stopped before its last step; run the experiment again")
    settings = plan.evaluation
    name = run_name("evaluation", settings, found.uri, plan.held_out.batch)
    report = evaluate(lake, name, found.uri, plan.held_out.batch, settings)
    return {score: report.scores[score].value for score in SCORES}


def finished_demo(lake: Lake) -> tuple[Plan, PipelineResult]:
    """Return plan and summary of the pipeline run in a lake.

    Raises:
        InputError: there is none, or more than one.
    """
    found = finished_summary(lake)
    plan = lake.read_json(found.replace("summary.json", "plan.json"))
    return settings_from(Plan, plan), read_summary(lake, found)


def main(arguments: Sequence[str]) -> None:
    """Train every arm from every seed; print the table and the answer, draw the figure."""
    parser = argparse.ArgumentParser(prog="make experiment-capfilt", description=main.__doc__)
    parser.add_argument("lake", help="the lake of a finished demo")
    parser.add_argument("--seeds", type=int, default=3, help="trainings an arm, 2 or more")
    parser.add_argument("--figure", default="docs/experiment-capfilt.svg")
    given = parser.parse_args(arguments)
    if given.seeds < 2:
        raise InputError(f"seeds is {given.seeds}; a spread needs 2 or more")
    lake = open_lake(given.lake)
    plan, summary = finished_demo(lake)
    arms = arms_of(lake, summary, plan.selection)
    found: dict[str, list[Scores]] = {arm.name: [] for arm in arms}
    for seed in range(plan.pretraining.seed, plan.pretraining.seed + given.seeds):
        for arm in arms:
            scores = scores_of(lake, plan, arm, seed)
            said = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
            log.info("seed %d, %s: %s", seed, arm.name, said)
            found[arm.name].append(scores)
    lake.publish_json(RESULT, {"arms": [asdict(arm) for arm in arms], "scores": found})
    console = Console(width=140)
    console.print(arms_table(arms, found))
    for line in verdicts(found):
        console.print(line, highlight=False)
    draw(found, given.figure)
    console.print(f"the figure is {given.figure}; the numbers are in {lake.path(RESULT)}")
