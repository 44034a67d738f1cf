"""The event loop that fetching runs on: uvloop where there is one, asyncio's own on Windows."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

try:
    from uvloop import new_event_loop
except ImportError:  # it has no wheels for Windows; there everything is the same, only slower
    new_event_loop = None  # type: ignore[assignment]

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop of its own, as asyncio.run does.

    SIGTERM cancels it, as Ctrl-C does, and then has the effect that it had before.
    """
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        if threading.current_thread() is not threading.main_thread():
            return runner.run(main)
        return _until_terminated(runner, main)


def _until_terminated(runner: asyncio.Runner, main: Coroutine[Any, Any, T]) -> T:
    before = signal.getsignal(signal.SIGTERM)
    is_terminated = False

    async def watched() -> T:
        running = asyncio.current_task()
        assert running is not None

        def stop() -> None:
            nonlocal is_terminated
            is_terminated = True
            running.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        return await main

    try:
        return runner.run(watched())
    finally:
        runner.get_loop().remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
        if is_terminated:
            signal.raise_signal(signal.SIGTERM)
