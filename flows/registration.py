"""Models that are done -> versions in the registry; those that pass their gate become champions.

    python -m flows.registration rollback caplift-captioner [--to VERSION] [--lake FOLDER]
    python -m flows.registration history caplift-captioner [--lake FOLDER]

The registry is at MLFLOW_TRACKING_URI, or else in the lake.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console

from flows.dispatch import job_task
from flows.environment import revision, this_machine
from tasks.commands import run_command
from tasks.contenders import Candidate, candidate_of, rbm_candidate
from tasks.promotion import history, rollback
from tasks.registration import record_aliases, register_candidate
from tasks.registry import ROLES
from tasks.storage import Lake

# Which model of a run is registered as what.
REGISTERED = {
    "caplift-captioner": "captioner",
    "caplift-filter": "filter",
    "caplift-blip": "selected",
}


@job_task("register {candidate.name}")
def register(lake: Lake, candidate: Candidate) -> str:
    """Register one model and return its version and alias, such as `3 champion`."""
    machine = this_machine()
    made, decision = register_candidate(lake, machine.mlflow_uri(lake), candidate, machine.device)
    return f"{made.version} {decision.alias}"


def candidates(
    lake: Lake,
    run: str,
    models: Mapping[str, str],
    evaluations: Mapping[str, str],
    kept: Mapping[str, str],
) -> list[Candidate]:
    """Return the four models of a finished run with what judges each.

    Args:
        lake: where they lie.
        run: the pipeline run; its plan lies in runs/<run>/plan.json.
        models: address of each model, and of the RBM's folder.
        evaluations: name of each model's evaluation.
        kept: id and digest of the selection whose vectors the RBM was fitted on.
    """
    lineage = {"pipeline": run, "plan": f"runs/{run}/plan.json", "revision": revision()}
    made = [
        candidate_of(lake, name, models[mine], evaluations[mine], lineage)
        for name, mine in REGISTERED.items()
    ]
    return [*made, rbm_candidate(lake, models["rbm"], models["selected"], kept, lineage)]


def main(arguments: Sequence[str]) -> None:
    """Give the alias champion back to an earlier version, or list the champions so far."""
    parser = argparse.ArgumentParser(prog="python -m flows.registration", description=main.__doc__)
    parser.add_argument("what", choices=("rollback", "history"))
    parser.add_argument("name", choices=tuple(ROLES))
    parser.add_argument("--to", default="", help="a version; without it the champion before")
    parser.add_argument("--lake", default="", help="a folder or an fsspec URL, not CAPLIFT_LAKE")
    given = parser.parse_args(arguments)
    lake = this_machine().open_lake(given.lake)
    where, console = this_machine().mlflow_uri(lake), Console(soft_wrap=True, highlight=False)
    if given.what == "rollback":
        version, decision = rollback(where, given.name, given.to)
        record_aliases(lake, where, given.name)
        console.print(f"{given.name} version {version} is champion: {decision.reason}")
        return
    for one in history(where, given.name):
        console.print(f"{one['at']}  version {one['version']}  {one['reason']}", markup=False)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
