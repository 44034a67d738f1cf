"""How far an ingestion is, live: images and bytes a second, outcomes, what holds it up, the rest.

At a terminal one line that moves; elsewhere a log line every fifteen seconds.
"""

import contextlib
import logging
import sys
import time
from collections import deque
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tasks.ingestion.tally import Tally
from tasks.progress import SECONDS_BETWEEN_LINES
from tasks.rows import Outcome

log = logging.getLogger(__name__)

WINDOW = 10  # reports, one a second, over which rates are taken
BUSY = 0.85  # of a core by one process: then the machine is what holds it up
WORDS = {"politeness": "politeness", "network": "the network", "decoding": "this machine's cores"}


class Meter:
    """Rates over the last reports."""

    def __init__(self, total: int, processes: int) -> None:
        self.total = total
        self._processes = processes
        self._seen: deque[tuple[float, int, int, float]] = deque(maxlen=WINDOW)
        self._began = time.monotonic()

    def line(self, tally: Tally) -> str:
        """Return one line about a run."""
        images_s, megabytes_s, cores = self._rates(tally)
        parts = [f"{tally.done:,} of {self.total:,}"]
        if tally.done:
            parts.append(f"kept {tally.kept / tally.done:.0%}")
        parts += [f"{images_s:.0f} images/s", f"{megabytes_s:.1f} MB/s"]
        if tally.done < self.total:
            parts.append(f"held up by {held_up_by(tally, cores / self._processes)}")
            if images_s:
                parts.append(f"about {(self.total - tally.done) / images_s:.0f} s left")
        worst = [(n, c) for n, c in tally.outcomes.most_common(4) if n != Outcome.KEPT][:3]
        return ", ".join([*parts, *(f"{name} {count:,}" for name, count in worst)])

    def _rates(self, tally: Tally) -> tuple[float, float, float]:
        """Return images/s, MB/s and cores in use, over the window."""
        cpu_s = sum(tally.cpu_s.values())
        now = (time.monotonic(), tally.done, tally.bytes_fetched, cpu_s)
        before = self._seen[0] if self._seen else (self._began, 0, 0, 0.0)
        self._seen.append(now)
        seconds, images, fetched, cpu = (a - b for a, b in zip(now, before, strict=True))
        seconds = max(seconds, 1e-3)
        return images / seconds, fetched / seconds / 1e6, cpu / seconds


def held_up_by(tally: Tally, busy: float) -> str:
    """Say what more of would make a run faster.

    Args:
        tally: now.
        busy: cores in use by each process.
    """
    if busy >= BUSY or not tally.waiting.total():
        return WORDS["decoding"]
    return WORDS[max(WORDS, key=lambda phase: tally.waiting[phase])]


@contextlib.contextmanager
def showing(label: str, total: int, processes: int) -> Iterator["Display"]:
    """Give the display of a run; it is gone when the body ends."""
    if sys.stderr.isatty():
        with Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=20),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        ) as progress:
            yield Display(label, Meter(total, processes), progress)
    else:
        yield Display(label, Meter(total, processes))


class Display:
    """Shows a tally each time it is given one."""

    def __init__(self, label: str, meter: Meter, progress: Progress | None = None) -> None:
        self._label = label
        self._meter = meter
        self._progress = progress
        self._bar = progress.add_task(label, total=meter.total) if progress else None
        self._spoken = time.monotonic()

    def __call__(self, tally: Tally) -> None:
        """Show how far a run is."""
        said = f"{self._label}: {self._meter.line(tally)}"
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, completed=tally.done, description=said)
        elif time.monotonic() - self._spoken >= SECONDS_BETWEEN_LINES:
            self._spoken = time.monotonic()
            log.info("%s", said)
