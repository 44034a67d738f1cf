"""What the lake holds -> quality.duckdb, the gates' verdicts and the report."""

from collections.abc import Sequence
from dataclasses import replace

from prefect import flow, runtime
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.events import emit_event

from flows.dispatch import job_task
from flows.environment import person, revision, this_machine
from tasks.catalogue.gates import GateResult, check_gates, require
from tasks.catalogue.verdicts import Check, Override
from tasks.ingestion.sources.planning import RUN as INGESTED
from tasks.report.report import write_report
from tasks.storage import Lake

OF_THE_FILTER = ("G8", "G9", "G10", "G13")
STATUSES = ("fail", "warn", "pass")
# What an event says of the gates: caplift.gates.failed, .overridden, .warned or .passed.
EVENT = "caplift.gates"

measure = job_task("measure the gates of {check.run}")(check_gates)
report = job_task("write the report {run}")(write_report)


@flow(name="quality")
def quality(
    run: str = "", lake: str = "", selection: str = "", check: Check | None = None
) -> dict[str, str]:
    """Rebuild the catalogue, record and show the gates, and write the report.

    Nothing is stopped: a person reads the verdicts.

    Args:
        run: the pipeline run that the report is named after; empty means the lake as it is now.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.
        selection: id of the selection the report is about; empty means the newest judged one.
        check: which batches and runs are judged, by which budget, with whose overrides; without,
            what the run's last check was about, or all of the lake.

    Returns:
        Where the `database` and the `report` are, as the lake spells it.
    """
    opened = this_machine().open_lake(lake)
    _checked(opened, replace(check or Check(), run=run))
    written = opened.path(report(opened, run, selection=selection, revision=revision()))
    create_link_artifact(key="report", link=_address(opened, written), link_text=f"report {run}")
    return {"database": opened.path("quality.duckdb"), "report": written}


def require_gates(lake: Lake, check: Check) -> None:
    """Stop the flow when a gate has failed that nobody has overridden.

    Raises:
        GateFailed: names the gate, its number and its limits.
    """
    named, results = _checked(lake, check)
    require(results, named.overrides)


def require_filter(
    lake: Lake, batch: str, runs: Sequence[str], overrides: Sequence[Override]
) -> None:
    """Stop when the gates of captioner and filter have failed on a batch; the others are recorded.

    Args:
        lake: where everything lies.
        batch: that was captioned and scored.
        runs: of its texts, the scores last.
        overrides: gates that may fail.

    Raises:
        GateFailed: names the gate, its number and its limits.
    """
    check = Check(run=runs[-1], batches=(batch,), runs=tuple(runs), overrides=tuple(overrides))
    named, results = _checked(lake, check)
    require([one for one in results if one.gate in OF_THE_FILTER], named.overrides)


def require_sound(
    lake: Lake, run: str, selections: Sequence[str], overrides: Sequence[Override]
) -> None:
    """Stop a training that was started by itself when the gates of what it reads have failed.

    Inside a pipeline they have been judged already.

    Raises:
        GateFailed: names the gate, its number and its limits.
    """
    if runtime.flow_run.parent_flow_run_id:
        return
    cards = [lake.read_json(f"selections/{name}/selection.json") for name in selections]
    made = [card.get("how", {}) for card in cards]
    batches = {batch for how in made for batch in how.get("batches", ())}
    runs = {
        run
        for how in made
        for run in (*how.get("caption_runs", ()), how.get("score_run"), how.get("rbm_run"))
        if run
    }
    require_gates(
        lake,
        Check(
            run=run,
            batches=tuple(sorted(batches)),
            runs=(INGESTED, *selections, *sorted(runs)),
            overrides=tuple(overrides),
        ),
    )


def _checked(lake: Lake, check: Check) -> tuple[Check, list[GateResult]]:
    """Measure and record the gates, put them on the run's page, and tell who listens."""
    signed = tuple(replace(one, who=one.who or person()) for one in check.overrides)
    named = replace(check, overrides=signed, revision=check.revision or revision())
    results = measure(lake, named)
    _show(results)
    _tell(lake, named, results)
    return named, results


def _show(results: Sequence[GateResult]) -> None:
    """Put the verdicts on the run's page, the worst first."""
    told = [
        {
            "gate": one.gate,
            "status": one.status,
            "measures": one.title,
            "on": one.slice,
            "number": "" if one.metric is None else f"{one.metric:.4g}",
            "limits": one.limits,
            "overridden by": one.override_by,
            "because": one.override_why,
        }
        for one in results
    ]
    create_table_artifact(key="gates", table=told, description="Gates, the worst first")


def _tell(lake: Lake, check: Check, results: Sequence[GateResult]) -> None:
    """Emit one event, so that an automation can act on a run that failed or only warned."""
    by_status = {
        status: sorted({one.gate for one in results if one.status == status}) for status in STATUSES
    }
    standing = sorted({one.gate for one in results if one.status == "fail" and not one.override_by})
    verdict = "passed"
    if by_status["warn"]:
        verdict = "warned"
    if by_status["fail"]:
        verdict = "failed" if standing else "overridden"
    emit_event(
        f"{EVENT}.{verdict}",
        resource={
            "prefect.resource.id": f"caplift.gates.{check.run or 'lake'}",
            "caplift.verdict": verdict,
        },
        payload={
            "lake": lake.root,
            "run": check.run,
            "failed": by_status["fail"],
            "standing": standing,
            "warned": by_status["warn"],
            "overrides": [{"gate": o.gate, "who": o.who, "why": o.why} for o in check.overrides],
        },
    )


def _address(lake: Lake, path: str) -> str:
    """Return a link to a file of the lake."""
    return f"file://{path}" if lake.is_local else str(lake.fs.unstrip_protocol(path))
