"""What CapFilt is worth, with its spread: the demo's models trained again from other seeds.

Needs a lake that `make demo` has finished. Each arm pretrains the plan's model on its selections
and is evaluated on the held-out pictures, once a seed; everything else is equal, the number of
steps too. Arms: the human captions alone, those with every raw web pair, and those with what
CapFilt kept. Finished trainings are found again, so a stopped experiment goes on.

    make experiment-capfilt [SEEDS=3] [SITE=default]
"""

import argparse
import logging
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from flows.plan import Plan
from flows.runs import run_name
from flows.summary import PipelineResult, finished_summary, read_summary
from tasks.checkpoints import newest
from tasks.commands import run_command
from tasks.errors import InputError, ModelError
from tasks.evaluation.stage import evaluate
from tasks.pretraining import pretrain
from tasks.progress import track
from tasks.settings import settings_from
from tasks.storage import Lake, open_lake

log = logging.getLogger("tasks.experiment")

ARMS = {
    "human only": ("human",),
    "human + raw": ("raw", "human"),
    "human + CapFilt": ("kept", "human"),
}
SCORES = (
    "itc_tr_r1",
    "itm_tr_r1",
    "itm_tr_r5",
    "itc_ir_r1",
    "itm_ir_r1",
    "itm_ir_r5",
    "cider_d",
    "self_r1",
)

Scores = Mapping[str, float]


def scores_of(lake: Lake, plan: Plan, selections: tuple[str, ...], seed: int) -> Scores:
    """Train one arm from one seed and return its scores on the held-out pictures."""
    how = replace(plan.pretraining, seed=seed)
    run = run_name("pretraining", how, selections, "experiment")
    for _ in track(pretrain(lake, run, selections, how), run, how.steps):
        pass
    found = newest(lake, run)
    if found is None or not found.is_final:
        raise ModelError(f"run {run} stopped before its last step; run the experiment again")
    settings = plan.evaluation
    name = run_name("evaluation", settings, found.uri, plan.held_out.batch)
    report = evaluate(lake, name, found.uri, plan.held_out.batch, settings)
    return {score: one.value for score, one in report.scores.items()}


def table(found: Mapping[str, Sequence[Scores]]) -> str:
    """Return Markdown: mean and standard deviation of each arm over seeds, and the gain by seed."""
    lines = [
        "| score | " + " | ".join(found) + " | CapFilt - raw, by seed |",
        "|---|" + "---:|" * (len(found) + 1),
    ]
    for score in SCORES:
        cells = [_spread([one[score] for one in seeds]) for seeds in found.values()]
        pairs = zip(found["human + CapFilt"], found["human + raw"], strict=True)
        gains = ", ".join(f"{chosen[score] - raw[score]:+.3f}" for chosen, raw in pairs)
        lines.append(f"| {score} | " + " | ".join(cells) + f" | {gains} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.3f} ± {spread:.3f}"


def finished_demo(lake: Lake) -> tuple[Plan, PipelineResult]:
    """Return plan and summary of the pipeline run in a lake.

    Raises:
        InputError: there is none, or more than one.
    """
    found = finished_summary(lake)
    plan = lake.read_json(found.replace("summary.json", "plan.json"))
    return settings_from(Plan, plan), read_summary(lake, found)


def main(arguments: Sequence[str]) -> None:
    """Train every arm from every seed and print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("lake", help="the lake of a finished demo")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args(arguments)
    if given.seeds < 1:
        raise InputError(f"seeds is {given.seeds}; it is 1 or more")
    lake = open_lake(given.lake)
    plan, summary = finished_demo(lake)
    ids = {name: str(card["id"]) for name, card in summary.selections.items()}
    found: dict[str, list[Scores]] = {arm: [] for arm in ARMS}
    for seed in range(1, given.seeds + 1):
        for arm, names in ARMS.items():
            log.info("seed %d: %s", seed, arm)
            found[arm].append(scores_of(lake, plan, tuple(ids[name] for name in names), seed))
    lake.publish_json("experiments/capfilt.json", found)
    log.info("%s\n\nwritten to %s", table(found), lake.path("experiments/capfilt.json"))


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
