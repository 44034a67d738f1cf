"""Progress where a person waits: a bar at a terminal, a log line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)
Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 15.0


def track(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Yield every item while showing how many of `total` are done and how long the rest takes.

    A terminal gets a bar on stderr; a log file gets one line every 15 seconds, so a worker's
    log stays short.
    """
    console = Console(stderr=True)
    if sys.stderr.isatty():
        yield from _bar(items, label, total, console)
    else:
        yield from _lines(items, label, total)


def _bar(items: Iterable[Item], label: str, total: int, console: Console) -> Iterator[Item]:
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(label, total=total)
        for item in items:
            yield item
            progress.advance(bar)


def _lines(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    started = spoken = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - spoken >= SECONDS_BETWEEN_LINES:
            spoken = now
            left_s = (now - started) / done * (total - done)
            log.info("%s: %d of %d, about %.0f s left", label, done, total, left_s)
