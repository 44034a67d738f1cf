"""Gates: numbers of a run that must lie between limits before the next stage may build on them.

Each of the nineteen is a statement of `sql/checks` that measures, and a line or more of
`sql/gates/limits.sql` with its limits. A gate that fails stops a flow unless a person takes it on
by an override, which is kept with the verdict.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.catalogue.building import build_catalogue, fill, open_catalogue
from tasks.catalogue.verdicts import Check, Override
from tasks.database import Database
from tasks.errors import GateFailed
from tasks.storage import Lake

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class GateResult:
    """One measure of a gate on one slice: what it is, between which limits, and what that means.

    Attributes:
        gate: G1 to G19.
        measure: which of the gate's measures.
        title: what is measured.
        slice: a batch, run, selection or signal.
        status: pass, warn, fail, or "not measured" while there is nothing to measure.
        metric: the number; None when not measured.
        n: rows it was measured on.
        limits: in words.
        why: why it matters.
        override_by: who has taken a failure on; empty when nobody has.
        override_why: their reason.
    """

    gate: str
    measure: str
    title: str
    slice: str
    status: str
    metric: float | None
    n: int | None
    limits: str
    why: str
    override_by: str = ""
    override_why: str = ""


def run_gates(lake: Lake) -> list[GateResult]:
    """Measure every gate on what the lake holds now, the worst first; nothing is written.

    Raises:
        LakeError: a Parquet file is damaged.
    """
    with Database() as database:
        fill(database, lake)
        return gate_results(database)


def check_gates(lake: Lake, check: Check) -> list[GateResult]:
    """Build the catalogue, measure a run's gates in it and record them; return the worst first.

    The record is what later runs are held against, and where overrides stay known.

    Raises:
        LakeError: a Parquet file is damaged or the lake cannot be written.
    """
    build_catalogue(lake, check=check)
    with open_catalogue(lake) as database:
        return gate_results(database)


def gate_results(database: Database) -> list[GateResult]:
    """Return the gates of an open catalogue, the worst first."""
    return [
        GateResult(
            gate=row["gate"],
            measure=row["measure"],
            title=row["title"],
            slice=row["slice"],
            status=row["status"],
            metric=row["metric"],
            n=row["n"],
            limits=_limits(row),
            why=row["why"],
            override_by=row["override_by"] or "",
            override_why=row["override_why"] or "",
        )
        for row in database.rows("reports/gates")
    ]


def require(results: Sequence[GateResult], overrides: Sequence[Override] = ()) -> None:
    """Raise when a gate has failed that nobody has overridden; warnings are logged.

    Raises:
        GateFailed: names the worst failing gate, its number and its limits.
    """
    taken_on = {one.gate: one for one in overrides}
    for result in results:
        if result.status == "warn":
            log.warning("gate %s", _told(result))
    failed = [result for result in results if result.status == "fail"]
    for result in failed:
        if result.gate in taken_on:
            override = taken_on[result.gate]
            log.warning("gate %s; %s overrides: %s", _told(result), override.who, override.why)
    standing = [result for result in failed if result.gate not in taken_on]
    if standing:
        others = f" ({len(standing) - 1} more)" if len(standing) > 1 else ""
        raise GateFailed(
            f"gate {_told(standing[0])}{others}; {standing[0].why}. Mend it, or pass "
            f"override {_sorted({result.gate for result in standing})} with the reason why to go "
            "on knowingly"
        )


def _told(result: GateResult) -> str:
    return (
        f"{result.gate} {result.status}: {result.title} is {result.metric:.4g} on {result.slice} "
        f"({result.limits})"
    )


def _limits(row: dict[str, float | None]) -> str:
    """Return the limits in words, such as `warns below 0.85, fails below 0.6`."""
    said = [
        f"{verb} {side} {limit:g}"
        for verb, kind in (("warns", "warn"), ("fails", "fail"))
        for side, end in (("below", "low"), ("above", "high"))
        if (limit := row[f"{kind}_{end}"]) is not None
    ]
    return ", ".join(said)


def _sorted(gates: set[str]) -> str:
    return ", ".join(sorted(gates, key=lambda gate: int(gate.removeprefix("G"))))
