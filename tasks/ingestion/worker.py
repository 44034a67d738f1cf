"""One process of several, started by `tasks.ingestion.workers`; it says what it does on a pipe.

worker -> parent    NEXT      give me a shard
                    a Tally   this is how far I am
                    an error  I had to stop
                    None      I have no more to do
parent -> worker    (Lake, Ingestion, part of rates) first, then a Shard or None for every NEXT
"""

import asyncio
import contextlib
import os
import signal
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from multiprocessing.connection import Connection
from typing import Any

from tasks.errors import CapliftError, LakeError
from tasks.ingestion import footprint
from tasks.ingestion.engine import Engine
from tasks.ingestion.loop import run
from tasks.ingestion.tally import Tally
from tasks.reach import store_trouble
from tasks.storage import Shard

BETWEEN_REPORTS_S = 1.0
NEXT = "next"


@contextlib.asynccontextmanager
async def reporting(engine: Engine, watch: Callable[[Tally], None]) -> AsyncIterator[None]:
    """Report how far an engine is every second while the body runs, and once more after it.

    Memory that is free by then goes back to the system.
    """

    async def report() -> None:
        while True:
            await asyncio.sleep(BETWEEN_REPORTS_S)
            watch(engine.snapshot())
            footprint.trim()

    task = asyncio.create_task(report())
    try:
        yield
    finally:
        task.cancel()
    watch(engine.snapshot())


class _Parent:
    """The way to the parent, for two threads; without a parent there is nothing left to do."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, said: object) -> None:
        try:
            with self._sending:
                self._connection.send(said)
        except OSError:
            os._exit(1)

    def receive(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            os._exit(1)

    def next_shard(self) -> Shard | None:
        self.send(NEXT)
        given = self.receive()
        assert given is None or isinstance(given, Shard)
        return given


def work(connection: "Connection[Any, Any]") -> None:
    """Ask for shards, ingest them, report, and say how it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends us
    parent = _Parent(connection)
    lake, how, part = parent.receive()
    try:
        run(_asked(parent, Engine(lake, how, part)))
        parent.send(None)
    except CapliftError as error:
        parent.send(error)
    except Exception as error:  # noqa: BLE001  # the parent raises it
        line = store_trouble(error)
        found = LakeError(line) if line else RuntimeError(f"{error}\n{traceback.format_exc()}")
        parent.send(found)


async def _asked(parent: _Parent, engine: Engine) -> None:
    loop = asyncio.get_running_loop()

    async def next_shard() -> Shard | None:
        return await loop.run_in_executor(None, parent.next_shard)

    async with reporting(engine, parent.send):
        await engine.run(next_shard)


def work_on(descriptor: int) -> None:
    """Work for the parent at the other end of an inherited pipe, and end this process."""
    footprint.own()
    work(Connection(descriptor))
    # All is on disk and said. Taking the interpreter down in order costs 0.2 CPU-s and 50 MB.
    os._exit(0)
