"""What a pipeline run did, in numbers: told stage by stage, written into the lake at the end."""

import logging
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from tasks.errors import InputError
from tasks.storage import Lake

log = logging.getLogger(__name__)


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
        selections: the card of each selection: raw, human, kept.
        models: address of each model: raw, captioner, filter, selected.
        runs: names of the runs that hold captions, scores, vectors, evaluations and the RBM.
        scores: the evaluation of each model.
        against_raw: how much better the model of the selected pairs is, by paired resampling.
        filter: the filter against the planted truth; empty where there is none.
        rbm: the RBM's metrics.
        registered: version of each registered model, and which of them are champions.
        places: where the report, the database and the registry are.
        revision: git revision of the code.
        rounds: the numbers of each round, as `flows.rounds` has them; the raw pairs' come first.
    """

    run: str
    stages: tuple[StageRow, ...]
    selections: dict[str, Any]
    models: dict[str, str]
    runs: dict[str, str]
    scores: dict[str, Any]
    against_raw: dict[str, Any]
    filter: dict[str, Any]
    rbm: dict[str, Any]
    registered: dict[str, str]
    places: dict[str, str]
    revision: str
    rounds: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """The rows of a run that is under way; a resumed run goes on with them.

    A stage that is found done takes a moment; its row keeps the seconds that doing it took.
    `part` tells stages of one name apart, such as those of several rounds.
    """

    lake: Lake
    run: str
    rows: list[StageRow] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)
    part: str = ""

    def begin(self, stage: str, what: str) -> None:
        """Say that a stage starts, and on what."""
        log.info("%s begins: %s", self._named(stage), what)

    def tell(
        self, stage: str, rows_in: int | None = None, rows_out: int | None = None, note: str = ""
    ) -> None:
        """Add a row for the stage that has just ended; its time counts from the row before."""
        now, name = time.monotonic(), self._named(stage)
        took = max(round(now - self.since, 1), self._seconds_before(name))
        self.rows.append(StageRow(name, rows_in, rows_out, took, note))
        self.since = now
        told = {**self._before(), **{row.stage: row.seconds for row in self.rows}}
        self.lake.publish_json(self._path, told)
        log.info("%s: %s", name, _spoken(self.rows[-1]))

    def _named(self, stage: str) -> str:
        return f"{stage}{self.part}"

    @property
    def _path(self) -> str:
        return f"runs/{self.run}/seconds.json"

    def _before(self) -> dict[str, float]:
        return dict(self.lake.read_json(self._path)) if self.lake.exists(self._path) else {}

    def _seconds_before(self, stage: str) -> float:
        return self._before().get(stage, 0.0)


def _spoken(row: StageRow) -> str:
    counts = f"{row.rows_in} in, " if row.rows_in is not None else ""
    counts += f"{row.rows_out} out, " if row.rows_out is not None else ""
    return f"{counts}{row.seconds:.1f} s" + (f" ({row.note})" if row.note else "")


def write_summary(lake: Lake, result: PipelineResult) -> str:
    """Publish the summary and return where it lies."""
    path = summary_path(result.run)
    lake.publish_json(path, asdict(result))
    return path


def summary_path(run: str) -> str:
    """Return where the summary of a run lies in the lake."""
    return f"runs/{run}/summary.json"


def finished_summary(lake: Lake) -> str:
    """Return where the summary of the lake's one finished run lies.

    Raises:
        InputError: there is none, or more than one.
    """
    found = lake.glob("runs/*/summary.json")
    if len(found) != 1:
        raise InputError(
            f"{lake.root} has {len(found)} finished pipeline runs where one is needed; run "
            "`make demo` in a folder of its own first"
        )
    return found[0]


def read_summary(lake: Lake, path: str) -> PipelineResult:
    """Read a summary that `write_summary` has published."""
    kept = lake.read_json(path)
    stages = tuple(StageRow(**row) for row in kept.pop("stages"))
    return PipelineResult(**kept, stages=stages)
