"""How far a job is, live: a line that moves at a terminal, one every fifteen seconds elsewhere."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from tasks.capfilt.tally import Tally
from tasks.progress import SECONDS_BETWEEN_LINES

log = logging.getLogger(__name__)


class Display:
    """Shows a tally each time it is given one, and keeps the last."""

    def __init__(self, label: str, progress: Progress | None = None) -> None:
        self.tally = Tally()
        self._label, self._spoken, self._progress = label, time.monotonic(), progress
        self._bar = progress.add_task(label, total=None) if progress else None

    def __call__(self, tally: Tally) -> None:
        """Show how far a job is."""
        self.tally = tally
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, description=tally.line())
        elif time.monotonic() - self._spoken >= SECONDS_BETWEEN_LINES:
            self._spoken = time.monotonic()
            log.info("%s: %s", self._label, tally.line())


@contextlib.contextmanager
def showing(label: str) -> Iterator[Display]:
    """Give the display of a job; its line is gone when the body ends."""
    if not sys.stderr.isatty():
        yield Display(label)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Display(label, progress)
