"""What the gates measure in an open catalogue, and what the last green run makes of it."""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from sql.statements import names, statement
from tasks.catalogue.quarantine import keep_apart
from tasks.catalogue.verdicts import (
    CHECKS,
    FOLDER,
    MEASUREMENTS,
    OVERRIDES,
    PROFILE,
    Check,
    check_tables,
    read_checks,
    record,
)
from tasks.database import Database
from tasks.errors import InputError
from tasks.rows import fingerprint
from tasks.storage import Lake

UNNAMED = "lake"
MEASURED_BY = ("checks", "gates", "views", "macros")
# Made for the checks, and of no use after them.
WORKING = ("current_run", "filter_verdict", "signal_value", "green_run", "concerned_selection")


def begin(database: Database) -> None:
    """Make the tables that views name, where an earlier build has not."""
    database.keep("gate_check", CHECKS.empty_table())
    database.keep("gate_override", OVERRIDES.empty_table())
    database.create("gate", "gates/limits")
    if not database.has("measurement"):
        database.create("measurement", "gates/measurements")
    database.create("gate_result", "gates/result", run="")


def judge(database: Database, lake: Lake, check: Check | None = None) -> None:
    """Run every check, and hold what it measures against its limits and the last green run.

    Args:
        database: an open catalogue with everything but gates.
        lake: where checks are recorded.
        check: what is asked; it is recorded. None judges what the last check of this content did,
            or else all of the lake, and records nothing.

    Raises:
        InputError: a batch is to be judged that the lake does not hold.
    """
    past = read_checks(lake)
    content = fingerprint(database.rows("gates/content"))
    asked = _named(check, past, content)
    _make_history(database, lake, past)
    database.create("concerned_batch", "gates/concerned_batches", batches=list(asked.batches))
    if check is not None:
        _refuse_unknown(database, lake, check)
    _measure_anew(database, lake, past, asked)
    database.create("gate_result", "gates/result", run=asked.run)
    if check is not None:
        keep_apart(lake, database, asked)
        made = record(lake, asked, _facts(database, content), *_found(database))
        _make_history(database, lake, [*(one for one in past if one["id"] != made["id"]), made])
        database.create("gate_result", "gates/result", run=asked.run)
    database.drop("concerned_batch")


def _refuse_unknown(database: Database, lake: Lake, check: Check) -> None:
    """Refuse to judge what is not there: nothing would be measured, and nothing could fail."""
    unknown = database.rows("gates/unknown_batches", batches=list(check.batches))
    if unknown:
        told = ", ".join(row["batch"] for row in unknown)
        held = ", ".join(lake.folders("plans")) or "none"
        raise InputError(f"the gates cannot judge {told}: {lake.root} holds the batches {held}")


def _measure_anew(database: Database, lake: Lake, past: list[dict[str, Any]], asked: Check) -> None:
    """Measure, unless the catalogue holds what the same statements found in the same files."""
    others = [one["id"] for one in past if one["run"] != asked.run]
    facts = [asked.run, asked.batches, asked.runs, asked.budget_s, others, _statements()]
    key = fingerprint([*facts, database.rows("gates/made_of")])
    if database.has("judged") and database.rows("gates/judged") == [{"key": key}]:
        return
    _make_baselines(database, lake, asked)
    _measure(database, asked)
    for name in WORKING:
        database.drop(name)
    database.keep("judged", pa.table({"key": [key]}))


def _statements() -> list[str]:
    return [statement(name) for folder in MEASURED_BY for name in names(folder)]


def _named(check: Check | None, past: list[dict[str, Any]], content: str) -> Check:
    """Return what is asked, completed by what is known of earlier checks."""
    asked = check or Check()
    known = [one for one in past if one["run"] == asked.run or not asked.run]
    same = [one for one in known if one["run"] == asked.run or one["content"] == content]
    last = same[-1] if same else None
    named = replace(asked, run=asked.run or (last["run"] if last else f"{UNNAMED}-{content}"))
    if last is None or asked.batches or asked.runs:
        return named
    return replace(
        named,
        batches=tuple(last["batches"]),
        runs=tuple(last["runs"]),
        budget_s=asked.budget_s or last["budget_s"],
    )


def _make_baselines(database: Database, lake: Lake, asked: Check) -> None:
    """Make the tables of what is judged, and of what it is held against."""
    runs = list(asked.runs)
    database.create("concerned_selection", "gates/concerned_selections", runs=runs)
    database.create("current_run", "gates/current_runs", runs=runs)
    database.create("green_run", "gates/green_runs", run=asked.run)
    database.create("baseline", "gates/baseline")
    profiles = lake.glob(f"{FOLDER}/*/profile.parquet")
    database.load("raw_profile", lake, profiles, PROFILE, as_view=True)
    database.create("baseline_profile", "gates/baseline_profile")
    database.drop("raw_profile")


def _make_history(database: Database, lake: Lake, past: list[dict[str, Any]]) -> None:
    checks, overrides = check_tables(past)
    database.drop("gate_check")
    database.keep("gate_check", checks)
    database.drop("gate_override")
    database.keep("gate_override", overrides)
    files = lake.glob(f"{FOLDER}/*/measurements.parquet")
    database.load("raw_measurement", lake, files, MEASUREMENTS, as_view=True)
    database.create("gate_history", "gates/history")
    database.drop("raw_measurement")


def _measure(database: Database, asked: Check) -> None:
    database.create("filter_verdict", "gates/filter_verdicts")
    database.create("signal_value", "gates/signal_values")
    database.create("gate_profile", "gates/profile")
    database.create("measurement", "gates/measurements")
    for name in names("checks"):
        gate = name.removeprefix("checks/")
        database.append("measurement", name, gate, column="gate", budget_s=asked.budget_s)
    database.create("comparison", "gates/compared")
    database.run("gates/add_comparisons")
    database.drop("comparison")


def _found(database: Database) -> tuple[Any, Any]:
    """Return the tables that are recorded: MEASUREMENTS and PROFILE."""
    return (
        database.table("gates/recorded_measurements").cast(MEASUREMENTS),
        database.table("gates/recorded_profile").cast(PROFILE),
    )


def _facts(database: Database, content: str) -> dict[str, Any]:
    (verdict,) = database.rows("gates/verdict")
    return {"content": content, **verdict}
