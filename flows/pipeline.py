"""Every stage in order: from pages to registered models, on one machine.

`python -m flows.pipeline plan.json [--lake FOLDER]` runs it with an embedded Prefect; nothing else
has to be running. Run again, it finds what is committed and does the rest.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from prefect import flow

from flows.chain import Chain
from flows.embedded import embed_prefect
from flows.environment import this_machine
from flows.plan import Plan
from flows.quality import quality, require_gates
from flows.rounds import take_rounds
from flows.runs import run_name
from flows.summary import summary_path, write_summary
from flows.tables import told_to
from flows.telling import tell
from tasks.commands import run_command
from tasks.settings import read_plan, settings_from
from tasks.storage import Lake

log = logging.getLogger(__name__)


@flow(name="pipeline")
def pipeline(plan: Plan, lake: str = "") -> dict[str, str]:
    """Run every stage; the raw pairs and the selected ones each train a model, and both are judged.

    Args:
        plan: every choice of the run.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        The `run`, and its `summary`: a path in the lake.
    """
    opened = this_machine().open_lake(lake, create=True)
    run = run_name("pipeline", plan)
    # Before anything runs: whoever finds half a run finds what it was meant to be.
    opened.publish_json(f"runs/{run}/plan.json", asdict(plan))
    chain = Chain(plan, opened, run)
    chain.ingest()
    require_gates(opened, chain.check())
    take_rounds(chain)
    chain.fit_rbm("selected", "kept")
    chain.register()
    places = quality(run, opened.root, chain.selections["kept"].id, chain.check())
    summary = write_summary(opened, chain.result(places))
    return {"run": run, "summary": summary}


def main(arguments: Sequence[str]) -> None:
    """Run a plan with an embedded Prefect and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m flows.pipeline", description=main.__doc__)
    parser.add_argument("plan", type=Path, help="a JSON file; its keys are those of flows.plan")
    parser.add_argument("--lake", default="", help="a folder or an fsspec URL, not CAPLIFT_LAKE")
    given = parser.parse_args(arguments)
    plan = settings_from(Plan, read_plan(given.plan))
    embed_prefect()
    lake = this_machine().open_lake(given.lake, create=True)
    tell(told_to(sys.stdout.isatty()), lake, finished_run(plan, lake))


def finished_run(plan: Plan, lake: Lake) -> str:
    """Run a plan, or find that it has been run; return where its summary lies in the lake."""
    summary = summary_path(run_name("pipeline", plan))
    if lake.exists(summary):
        log.info("all is done already; what follows is what came of it")
        return summary
    return pipeline(plan, lake.root)["summary"]


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
