r"""Evaluate a model without Prefect, and print every score with its interval.

    python -m tasks.evaluation captions  LAKE MODEL [batch=evaluation]
    python -m tasks.evaluation captions  LAKE MODEL benchmark.annotations=a.json \
                                                    benchmark.images=coco/
    python -m tasks.evaluation given     LAKE NAME  results=results.json annotations=captions.json
    python -m tasks.evaluation zero-shot LAKE MODEL labels.table=labels.csv labels.images=pictures/
    python -m tasks.evaluation probe     LAKE MODEL train.images=train/ test.images=val/
    python -m tasks.evaluation answers   LAKE MODEL questions=q.json annotations=a.json images=coco/
    python -m tasks.evaluation video     LAKE MODEL annotations=msrvtt_test.jsonl videos=clips/

What follows MODEL are settings, by the dotted names of the task's dataclass; lists are JSON.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tasks.commands import run_command
from tasks.evaluation import exams
from tasks.evaluation.exams import Work
from tasks.evaluation.given import Given, score_given
from tasks.evaluation.report import EvaluationReport
from tasks.evaluation.settings import Evaluation
from tasks.evaluation.stage import evaluate
from tasks.rows import fingerprint
from tasks.settings import nested, settings_from
from tasks.storage import open_lake

TASKS: dict[str, tuple[type[Any], Work]] = {
    "given": (Given, lambda lake, run, name, how, _: score_given(lake, run, name, how)),
    **exams.TASKS,
}


def main(arguments: Sequence[str]) -> None:
    """Run one evaluation."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", choices=("captions", *TASKS))
    parser.add_argument("lake", help="where the report goes: a folder or an fsspec URL")
    parser.add_argument("model", help="its address, such as models:/caplift-blip@champion")
    parser.add_argument("settings", nargs="*", metavar="name=value")
    parser.add_argument("--run", default="", help="the evaluation's name")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(arguments)
    lake, chosen = open_lake(given.lake), nested(given.settings)
    if given.task == "captions":
        batch = str(chosen.pop("batch", "evaluation"))
        how = settings_from(Evaluation, chosen)
        run = given.run or f"evaluation-{fingerprint([asdict(how), given.model, batch])}"
        report = evaluate(lake, run, given.model, batch, how, given.device)
    else:
        kind, work = TASKS[given.task]
        other = settings_from(kind, chosen)
        run = given.run or f"{given.task}-{fingerprint([asdict(other), given.model])}"
        report = work(lake, run, given.model, other, given.device)
    sys.stdout.write(told(report))


def told(report: EvaluationReport) -> str:
    """Return every score with its interval, and beside it those of the baselines."""
    lines = [f"{report.model} on {report.images:,} of {report.batch}"]
    for name, score in report.scores.items():
        beside = [
            f"{kind} {own[name].value:.4g}" for kind, own in report.baselines.items() if name in own
        ]
        lines.append(f"{name:28} {score!s:32} {'  '.join(beside)}".rstrip())
    if report.leakage:
        leaks = report.leakage
        seen = leaks["training_pictures"]
        lines.append(f"{leaks['leaked']} of them are among {seen:,} training pictures")
    lines.append(f"evaluations/{report.run}/metrics.json")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
