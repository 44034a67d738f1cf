"""The time one URL has, and the least speed of its body; waiting for a turn stops the clock."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

from tasks.ingestion.settings import Ingestion


class Clock:
    """Use it as `async with clock.limit`; what it interrupts ends with a TimeoutError.

    `reason` then says why; `waited_s` counts the seconds in which it stood still.
    """

    def __init__(self, how: Ingestion, waited_s: float = 0.0) -> None:
        self.limit = asyncio.timeout(how.timeout_s)
        self.reason = f"not done within {how.timeout_s:g} s"
        self.waited_s = waited_s
        self._how = how
        self._received = 0
        self._before = 0
        self._check: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Let no time pass for the URL while it waits for what is not its own doing."""
        began_s = time.monotonic()
        end_s = self.limit.when()
        if self.limit.expired() or end_s is None:  # it is over, or a wait within a wait
            yield
            return
        self.limit.reschedule(None)
        try:
            yield
        finally:
            seconds = time.monotonic() - began_s
            self.waited_s += seconds
            self.limit.reschedule(end_s + seconds)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """End a body that brings fewer bytes than `min_bytes_per_s` over any `grace_s`."""
        self._received = self._before = 0
        self._look_later()
        try:
            yield
        finally:
            assert self._check is not None
            self._check.cancel()

    def received(self, size: int) -> None:
        """Note how many bytes of the body are there."""
        self._received = size

    def forgive(self) -> None:
        """Start measuring anew, after we ourselves did not read for a while."""
        assert self._check is not None
        self._check.cancel()
        self._look_later()

    def _look_later(self) -> None:
        self._before = self._received
        loop = asyncio.get_running_loop()
        self._check = loop.call_later(self._how.grace_s, self._look)

    def _look(self) -> None:
        brought = self._received - self._before
        if brought >= self._how.min_bytes_per_s * self._how.grace_s:
            self._look_later()
        elif not self.limit.expired() and self.limit.when() is not None:
            self.reason = f"only {brought} bytes in {self._how.grace_s:g} s"
            self.limit.reschedule(asyncio.get_running_loop().time())
