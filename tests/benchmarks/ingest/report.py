"""The benchmark's numbers as tables, and against the goals."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from tests.benchmarks.ingest.contenders import OURS
from tests.benchmarks.ingest.measure import Cost
from tests.benchmarks.ingest.outputs import Left

# CPU-ms per URL of img2dataset on Python 3.12 over ours, and our memory over its.
GOALS = {"http": 2.2, "https": 3.0}
MEMORY_GOAL = 0.5
# Cores that others may take: two programs on one core's threads and caches slow each other, which
# their CPU time shows too.
MOST_NOISE = 0.2


@dataclass(frozen=True, kw_only=True)
class Run:
    """A contender's run over `urls` URLs of a scheme."""

    contender: str
    scheme: str
    urls: int
    cost: Cost
    left: Left

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a URL: what neighbours on the machine disturb least."""
        return self.cost.cpu_s / self.urls * 1e3

    @property
    def images_s(self) -> float:
        """Stored pictures a second of wall time, start-up counted."""
        return self.left.samples / self.cost.wall_s

    @property
    def faults(self) -> list[str]:
        """What makes the run's numbers worth nothing, a line each."""
        faults = [f"exit status {self.cost.status}"] if self.cost.status else []
        if self.left.samples != self.urls:
            faults.append(f"{self.left.samples} pictures stored of {self.urls}")
        if self.left.rows != self.urls:
            faults.append(f"{self.left.rows} rows for {self.urls} URLs")
        return faults + self.left.faults


def line(run: Run) -> str:
    """Return a finished run as one line."""
    cost, left = run.cost, run.left
    return (
        f"{run.scheme:5} {run.contender:18} {left.samples} of {run.urls} stored, {left.rows} rows, "
        f"{run.cpu_ms:6.2f} CPU-ms/url, {cost.wall_s:5.1f} s, {run.images_s:5.1f} images/s, "
        f"RSS {cost.peak_rss / 1e6:.0f} MB, others {cost.others:.2f} cores"
        + "".join(f"\n      {fault}" for fault in run.faults[:5])
    )


def show(console: Console, runs: Sequence[Run], starts: Mapping[str, Run]) -> None:
    """Print a table a scheme, ratios to the first contender, and our stages."""
    for scheme in dict.fromkeys(run.scheme for run in runs):
        ran = [run for run in runs if run.scheme == scheme]
        by_name = {name: [run for run in ran if run.contender == name] for name in starts}
        console.print(_table(by_name, starts, scheme))
        if OURS in by_name and len(by_name) > 1:
            console.print(_verdict(next(iter(by_name.values())), by_name[OURS]), highlight=False)
        if stages := [spent for run in ran if (spent := stages_of(run))]:
            console.print(_stage_table(stages))


def stages_of(run: Run) -> dict[str, float]:
    """Return our CPU milliseconds a URL by stage, as the command's last line says them.

    `rest` is what no stage counts: the parent's planning, hand-outs and summary, and every exit.
    """
    if run.contender != OURS or run.cost.status:
        return {}
    stages: dict[str, float] = json.loads(run.cost.said)["cpu_ms_per_url"]
    return {**stages, "rest": run.cpu_ms - sum(stages.values())}


def _cpu_ms(run: Run) -> float:
    return run.cpu_ms


def _images_s(run: Run) -> float:
    return run.images_s


def _rss_mb(run: Run) -> float:
    return run.cost.peak_rss / 1e6


# Heading, what it is of a run, and digits after the point.
COLUMNS: tuple[tuple[str, Callable[[Run], float], int], ...] = (
    ("images/s", _images_s, 0),
    ("RSS MB", _rss_mb, 0),
    ("PSS MB", lambda run: run.cost.peak_pss / 1e6, 0),
    ("out MB", lambda run: run.left.megabytes, 0),
    ("PSNR dB", lambda run: run.left.psnr_db, 1),
    ("others, cores", lambda run: run.cost.others, 2),
)


def _median(runs: Sequence[Run], what: Callable[[Run], float]) -> float:
    return statistics.median(what(run) for run in runs)


def _table(by_name: Mapping[str, Sequence[Run]], starts: Mapping[str, Run], scheme: str) -> Table:
    """Return medians, a contender a row; CPU with its extremes."""
    table = Table(box=box.MARKDOWN)
    table.add_column(scheme)
    for heading in ("CPU-ms/url", "least-most", "ratio", "start CPU-s", *(c[0] for c in COLUMNS)):
        table.add_column(heading, justify="right")
    first = next(iter(by_name.values()))
    for name, runs in by_name.items():
        cpu_ms = sorted(map(_cpu_ms, runs))
        table.add_row(
            name,
            f"{_median(runs, _cpu_ms):.2f}",
            f"{cpu_ms[0]:.1f}-{cpu_ms[-1]:.1f}",
            f"{_median(first, _cpu_ms) / _median(runs, _cpu_ms):.2f}x",
            f"{starts[name].cost.cpu_s:.1f}",
            *(f"{_median(runs, what):.{digits}f}" for _, what, digits in COLUMNS),
        )
    return table


def _verdict(rival: Sequence[Run], ours: Sequence[Run]) -> str:
    scheme = ours[0].scheme
    if any(run.faults for run in (*rival, *ours)):
        return f"{scheme}: no verdict, since a run did not do its work\n"
    cpu = _median(rival, _cpu_ms) / _median(ours, _cpu_ms)
    wall = _median(ours, _images_s) / _median(rival, _images_s)
    memory = _median(ours, _rss_mb) / _median(rival, _rss_mb)
    noise = max(run.cost.others for run in (*rival, *ours))
    doubt = f"; others took up to {noise:.1f} cores: run it again on a quiet machine"
    noted = doubt if noise > MOST_NOISE else ""
    return (
        f"{scheme}: {cpu:.2f}x fewer CPU-ms a URL than {rival[0].contender} (goal {GOALS[scheme]}: "
        f"{_met(cpu >= GOALS[scheme])}), {wall:.2f}x its images/s, {memory:.2f} of its RSS "
        f"(goal {MEMORY_GOAL}: {_met(memory <= MEMORY_GOAL)}){noted}\n"
    )


def _met(is_met: bool) -> str:
    return "met" if is_met else "missed"


def _stage_table(runs: Sequence[Mapping[str, float]]) -> Table:
    table = Table(box=box.MARKDOWN)
    table.add_column("our stages")
    for name in runs[0]:
        table.add_column(name, justify="right")
    medians = (statistics.median(run[name] for run in runs) for name in runs[0])
    table.add_row("CPU-ms/url", *(f"{median:.2f}" for median in medians))
    return table
