"""Gates: numbers of a run that must lie between limits before the next stage may build on them.

Each is a statement of `sql/checks` that measures, and a line of `sql/gates/limits.sql` with its
limits. A gate that fails stops a flow unless a person names it in `override`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.catalogue.building import fill
from tasks.database import Database
from tasks.errors import GateFailed, InputError
from tasks.storage import Lake

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class GateResult:
    """One gate on one slice: what was measured, between which limits, and what that means.

    Attributes:
        gate: G1 to G18.
        title: what is measured.
        slice: a batch, run, selection or signal.
        status: pass, warn, fail, or "not measured" while there is nothing to measure.
        metric: the number; None when not measured.
        n: rows it was measured on.
        limits: in words.
        why: why it matters.
    """

    gate: str
    title: str
    slice: str
    status: str
    metric: float | None
    n: int | None
    limits: str
    why: str


def run_gates(lake: Lake) -> list[GateResult]:
    """Measure every gate on what the lake holds now, the worst first; nothing is written.

    Raises:
        LakeError: a Parquet file is damaged.
    """
    with Database() as database:
        fill(database, lake)
        return gate_results(database)


def gate_results(database: Database) -> list[GateResult]:
    """Return the gates of an open catalogue, the worst first."""
    return [
        GateResult(
            gate=row["gate"],
            title=row["title"],
            slice=row["slice"],
            status=row["status"],
            metric=row["metric"],
            n=row["n"],
            limits=_limits(row["fail_low"], row["fail_high"]),
            why=row["why"],
        )
        for row in database.rows("reports/gates")
    ]


def require(results: Sequence[GateResult], override: Sequence[str] = ()) -> None:
    """Raise when a gate has failed that nobody has overridden; warnings are logged.

    Raises:
        InputError: `override` names a gate that there is not.
        GateFailed: names the worst failing gate, its number and its limits.
    """
    known = {result.gate for result in results}
    unknown = sorted(set(override) - known)
    if unknown:
        raise InputError(f"override names {', '.join(unknown)}; the gates are {_sorted(known)}")
    for result in results:
        if result.status == "warn":
            log.warning("gate %s", _told(result))
    failed = [result for result in results if result.status == "fail"]
    for result in failed:
        if result.gate in override:
            log.warning("gate %s, overridden", _told(result))
    standing = [result for result in failed if result.gate not in override]
    if standing:
        others = f" ({len(standing) - 1} more)" if len(standing) > 1 else ""
        raise GateFailed(
            f"gate {_told(standing[0])}{others}; {standing[0].why}. Mend it, or pass "
            f"override {_sorted({result.gate for result in standing})} to go on knowingly"
        )


def _told(result: GateResult) -> str:
    return (
        f"{result.gate} {result.status}: {result.title} is {result.metric:.4g} on {result.slice} "
        f"(fails {result.limits})"
    )


def _limits(low: float | None, high: float | None) -> str:
    said = [f"at {low:g} or below" if low is not None else ""]
    said += [f"above {high:g}" if high is not None else ""]
    return ", ".join(one for one in said if one)


def _sorted(gates: set[str]) -> str:
    return ", ".join(sorted(gates, key=lambda gate: int(gate.removeprefix("G"))))
