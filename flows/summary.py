"""What a pipeline run did, in numbers: collected stage by stage, written into the lake at the end."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from tasks.storage import Lake


@dataclass(frozen=True, slots=True)
class StageRow:
    """One line of the table: what went into a stage, what came out, and how long it took."""

    stage: str
    rows_in: int | None
    rows_out: int | None
    seconds: float
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineResult:
    """A finished run; `runs/<run>/summary.json` holds it.

    Attributes:
        run: the run's name.
        stages: one row a stage, in order.
        selections: id and counts of each selection, by policy.
        models: address of each model: raw, selected, captioner, filter.
        scores: what the evaluation found, by model.
        filter: precision and recall against the planted truth; empty without truth.
        rbm: the RBM's metrics.
        registered: name and version of each registered model.
        places: where the lake, the report, the database and the registry are.
    """

    run: str
    stages: tuple[StageRow, ...]
    selections: dict[str, Any]
    models: dict[str, str]
    scores: dict[str, Any]
    filter: dict[str, Any]
    rbm: dict[str, Any]
    registered: dict[str, str]
    places: dict[str, str]

    @property
    def path(self) -> str:
        """Where the summary lies in the lake."""
        return f"runs/{self.run}/summary.json"


@dataclass(slots=True)
class Story:
    """The rows of a run that is under way."""

    rows: list[StageRow] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def tell(
        self, stage: str, rows_in: int | None = None, rows_out: int | None = None, note: str = ""
    ) -> None:
        """Add a row for the stage that has just ended; its time counts from the row before."""
        now = time.monotonic()
        self.rows.append(StageRow(stage, rows_in, rows_out, round(now - self.since, 1), note))
        self.since = now


def write_summary(lake: Lake, result: PipelineResult) -> str:
    """Publish the summary and return where it lies."""
    lake.publish_json(result.path, asdict(result))
    return result.path
