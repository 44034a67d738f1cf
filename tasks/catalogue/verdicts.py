"""What a check of the gates leaves in the lake: its numbers, its verdict, who overrode it and why.

    verdicts/<id>/measurements.parquet   every number, also those that only the next run needs
    verdicts/<id>/profile.parquet        how each signal was distributed
    verdicts/<id>/verdict.json           written last: run, verdict, overrides

The next run is held against the last green one, so nothing of a baseline stands in the code. An id
is made of what was found: the same check made twice is one check.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tasks.errors import InputError, LakeError
from tasks.rows import fingerprint, table_of, write_rows
from tasks.storage import Lake

FOLDER = "verdicts"
GATE = re.compile(r"G(1[0-9]|[1-9])")
TEXT, TEXTS, NUMBER = pa.string(), pa.list_(pa.string()), pa.float64()

MEASUREMENTS = pa.schema(
    {
        "gate": TEXT,
        "measure": TEXT,
        "slice": TEXT,
        "series": TEXT,
        "metric": NUMBER,
        "n": pa.int64(),
        "spread": NUMBER,
        "status": TEXT,
    }.items()
)
PROFILE = pa.schema(
    {
        "batch": TEXT,
        "source": TEXT,
        "signal": TEXT,
        "model": TEXT,
        "n": pa.int64(),
        "mean": NUMBER,
        "std": NUMBER,
        "p99": NUMBER,
        "edges": pa.list_(NUMBER),
        "counts": pa.list_(pa.int64()),
        "labels": TEXTS,
    }.items()
)
CHECKS = pa.schema(
    {
        "id": TEXT,
        "run": TEXT,
        "checked_at": pa.timestamp("us", tz="UTC"),
        "content": TEXT,
        "batches": TEXTS,
        "runs": TEXTS,
        "budget_s": NUMBER,
        "revision": TEXT,
        "is_green": pa.bool_(),
        "failed": TEXTS,
        "warned": TEXTS,
        "baselines": TEXTS,
    }.items()
)
OVERRIDES = pa.schema(
    {
        "check_id": TEXT,
        "run": TEXT,
        "gate": TEXT,
        "who": TEXT,
        "why": TEXT,
        "recorded_at": pa.timestamp("us", tz="UTC"),
        "has_failed": pa.bool_(),
    }.items()
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """A person's word that a run may go on although a gate fails.

    Attributes:
        gate: which, such as G9.
        why: in a sentence; it is kept with the verdict.
        who: takes it on; empty means the user whose process runs the flow.
    """

    gate: str
    why: str
    who: str = ""

    def __post_init__(self) -> None:
        if not GATE.fullmatch(self.gate):
            raise InputError(f"an override names {self.gate!r}; the gates are G1 to G19")
        if not self.why.strip():
            raise InputError(
                f"the override of {self.gate} does not say why; it is kept with the verdict, so "
                "give the reason in a sentence"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What a check of the gates is about, and what is known before it.

    Attributes:
        run: whose gates they are; empty names it after what the lake holds.
        batches: those that the run is about; empty means all of the lake.
        runs: runs of stages and ids of selections that it is about; empty means the newest run of
            each stage on each batch, and all selections.
        budget_s: seconds of work that a thousand selected texts may cost; 0 for no budget.
        overrides: gates that may fail.
        revision: of the code.
    """

    run: str = ""
    batches: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    budget_s: float = 0.0
    overrides: tuple[Override, ...] = ()
    revision: str = ""


def read_checks(lake: Lake) -> list[dict[str, Any]]:
    """Return the records of all checks, the earliest first.

    Raises:
        LakeError: one is damaged, or is no record of a check.
    """
    records = [_read(lake, path) for path in lake.glob(f"{FOLDER}/*/verdict.json")]
    return sorted(records, key=lambda one: (one["checked_at"], one["id"]))


def _read(lake: Lake, path: str) -> dict[str, Any]:
    try:
        found = lake.read_json(path)
    except ValueError as error:
        found, told = {}, str(error)
    else:
        told = "it is another thing"
    if not isinstance(found, dict) or not {*CHECKS.names, "overrides"} <= found.keys():
        raise LakeError(
            f"{path} of {lake.root} is no record of a check ({told}); remove its folder and run "
            "the quality stage again"
        )
    return found


def check_tables(records: Sequence[Mapping[str, Any]]) -> tuple[pa.Table, pa.Table]:
    """Return the checks, and the overrides of them all, as tables."""
    checks = [
        {name: record[name] for name in CHECKS.names if name != "checked_at"}
        | {"checked_at": datetime.fromisoformat(record["checked_at"])}
        for record in records
    ]
    overrides = [
        {**one, "check_id": record["id"], "run": record["run"]}
        | {"recorded_at": datetime.fromisoformat(one["recorded_at"])}
        for record in records
        for one in record["overrides"]
    ]
    return table_of(checks, CHECKS), table_of(overrides, OVERRIDES)


def record(
    lake: Lake,
    check: Check,
    facts: Mapping[str, Any],
    measurements: pa.Table,
    profile: pa.Table,
) -> dict[str, Any]:
    """Write what a check found, its record last, and return the record.

    Nothing is written when it is what the newest check of this run found.

    Args:
        lake: where.
        check: what was asked.
        facts: content, failed, warned and baselines.
        measurements: rows of MEASUREMENTS.
        profile: rows of PROFILE.
    """
    asked = {**asdict(check), "overrides": [asdict(one) for one in check.overrides]}
    found = measurements.select(MEASUREMENTS.names).to_pylist()
    print_of = fingerprint([asked, [[_told(value) for value in row.values()] for row in found]])
    name = f"{check.run}-{print_of}"
    own = [one for one in read_checks(lake) if one["run"] == check.run]
    if own and own[-1]["id"] == name:
        return own[-1]
    moment = datetime.now(UTC).isoformat()
    made = {
        **asked,
        **facts,
        "id": name,
        "checked_at": moment,
        "is_green": not facts["failed"],
        "overrides": [
            {**asdict(one), "recorded_at": moment, "has_failed": one.gate in facts["failed"]}
            for one in check.overrides
        ],
    }
    write_rows(lake, f"{FOLDER}/{name}/measurements.parquet", measurements)
    write_rows(lake, f"{FOLDER}/{name}/profile.parquet", profile)
    lake.publish_json(f"{FOLDER}/{name}/verdict.json", made)
    return made


def _told(value: Any) -> Any:
    """Return a value as it is named: the last digits of a sum depend on the order of its parts."""
    return f"{value:.9g}" if isinstance(value, float) else value
