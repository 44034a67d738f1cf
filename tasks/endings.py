"""Ctrl-C and its like, held back while a program that must not outlive us is being started."""

import contextlib
import signal
import threading
from collections.abc import Iterator

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def endings_held() -> Iterator[None]:
    """Let Ctrl-C and its like wait for the end of the block.

    Between the start of a process and the line that notes whom to stop, it would outlive us.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no signal is handled there
        return
    waiting: list[int] = []
    before = {
        ending: signal.signal(ending, lambda number, _: waiting.append(number))
        for ending in ENDINGS
        if signal.getsignal(ending) is not None  # not Python's: it could not be put back
    }
    try:
        yield
    finally:
        for ending, handler in before.items():
            signal.signal(ending, handler)
        for number in waiting[:1]:
            signal.raise_signal(number)
