"""What the lake holds -> quality.duckdb, the gates' verdicts and the report."""

from collections.abc import Sequence

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.dispatch import job_task
from flows.environment import revision, this_machine
from tasks.catalogue.building import build_catalogue
from tasks.catalogue.gates import GateResult, require, run_gates
from tasks.report.report import write_report
from tasks.storage import Lake

build = job_task("build the catalogue")(build_catalogue)
measure = job_task("measure the gates")(run_gates)
report = job_task("write the report {run}")(write_report)


@flow(name="quality")
def quality(run: str = "", lake: str = "", selection: str = "") -> dict[str, str]:
    """Rebuild the catalogue, show the gates and write the report.

    Nothing is stopped: a person reads the verdicts.

    Args:
        run: the pipeline run that the report is named after; empty means the lake as it is now.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.
        selection: id of the selection the report is about; empty means the newest judged one.

    Returns:
        Where the `database` and the `report` are, as the lake spells it.
    """
    opened = this_machine().open_lake(lake)
    database = build(opened)
    _show(measure(opened))
    written = report(opened, run, selection=selection, revision=revision())
    return {"database": database, "report": opened.path(written)}


def require_gates(lake: Lake, override: Sequence[str] = ()) -> None:
    """Stop the flow when a gate has failed that nobody has overridden.

    Raises:
        GateFailed: names the gate, its number and its limits.
    """
    results = measure(lake)
    _show(results)
    require(results, override)


def _show(results: Sequence[GateResult]) -> None:
    """Put the verdicts on the run's page, the worst first."""
    told = [
        {
            "gate": one.gate,
            "status": one.status,
            "measures": one.title,
            "on": one.slice,
            "number": "" if one.metric is None else f"{one.metric:.4g}",
            "fails": one.limits,
        }
        for one in results
    ]
    create_table_artifact(key="gates", table=told, description="Gates, the worst first")
