"""One process a core: each has its own event loop, decoder and writer, and shares nothing.

The parent hands out shards one at a time and adds up what its processes report every second. No
picture crosses a process. Politeness is divided: what a host is asked by all processes together
stays within the limits of the settings.
"""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from tasks.errors import LakeError
from tasks.ingestion.engine import Engine
from tasks.ingestion.loop import run
from tasks.ingestion.recording import RUN, STAGE
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.tally import Tally
from tasks.ingestion.worker import NEXT, reporting
from tasks.storage import Lake, Shard

LONGEST_END_S = 5.0
Watch = Callable[[Tally], None]


def ingest(
    lake: Lake,
    shards: Sequence[Shard],
    how: Ingestion,
    processes: int = 1,
    watch: Watch | None = None,
) -> Tally:
    """Fetch, check and store the candidates of shards; committed ones are left as they are.

    Args:
        lake: where the plan is and the shards go.
        shards: planned ones.
        how: limits and politeness, of all processes together.
        processes: with 1 it is done in this process.
        watch: given the sums of all processes, about every second and at the end.

    Returns:
        The sums at the end; shards that were committed before are not in them.

    Raises:
        LakeError: a plan is damaged, the lake cannot be written, or a process was killed; what is
            committed stays.
    """
    seen = watch or (lambda _: None)
    for batch in {shard.batch for shard in shards}:
        for folder in (f"web/{batch}", f"captions/{RUN}/{batch}", f"commits/{STAGE}/{RUN}/{batch}"):
            lake.sweep(folder)
    count = max(1, min(processes, len(shards)))
    if count == 1:
        return run(_alone(lake, shards, how, seen))
    with _processes(lake, share(how, count), count) as workers:
        return _served(workers, list(shards), seen)


def share(how: Ingestion, processes: int) -> Ingestion:
    """Return the settings of one of several processes."""
    return replace(
        how,
        concurrency=-(-how.concurrency // processes),
        per_host_concurrency=max(1, how.per_host_concurrency // processes),
    )


async def _alone(lake: Lake, shards: Sequence[Shard], how: Ingestion, watch: Watch) -> Tally:
    engine = Engine(lake, how)
    left = iter(shards)

    async def next_shard() -> Shard | None:
        return next(left, None)

    async with reporting(engine, watch):
        await engine.run(next_shard)
    return engine.tally


@dataclass(slots=True)
class _Worker:
    """A process, the way to it, and what it has reported last."""

    process: subprocess.Popen[bytes]
    connection: "Connection[Any, Any]"
    tally: Tally = field(default_factory=Tally)


@contextlib.contextmanager
def _processes(lake: Lake, how: Ingestion, count: int) -> Iterator[list[_Worker]]:
    """Start processes that ask for shards; none outlives the body, or this process.

    Not multiprocessing's own: a spawned one imports the parent's main module, a whole Prefect in a
    flow, and a fork may inherit a lock that one of the parent's threads holds.
    """
    workers: list[_Worker] = []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        for _ in range(count):
            ours, theirs = multiprocessing.Pipe()
            number = theirs.fileno()
            command = [sys.executable, "-m", "tasks.ingestion.worker", str(number)]
            process = subprocess.Popen(command, pass_fds=[number], env=environment)
            theirs.close()  # so that the end of the process is the end of the pipe
            workers.append(_Worker(process, ours))
            ours.send((lake, how))
        yield workers
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            try:
                worker.process.wait(LONGEST_END_S)
            except subprocess.TimeoutExpired:
                worker.process.kill()  # nothing it holds is needed: what counts is committed
                worker.process.wait()
            worker.connection.close()


def _served(workers: list[_Worker], shards: list[Shard], watch: Watch) -> Tally:
    """Hand out shards until all are done."""
    shards.reverse()
    busy = {worker.connection: worker for worker in workers}
    while busy:
        for connection in wait(list(busy)):
            assert isinstance(connection, Connection)
            worker = busy[connection]
            try:
                said = connection.recv()
            except EOFError:
                raise _died(worker) from None
            if said == NEXT:
                connection.send(shards.pop() if shards else None)
            elif isinstance(said, Tally):
                worker.tally = said
                watch(_sum(workers))
            elif isinstance(said, Exception):
                raise said
            else:
                del busy[connection]
    return _sum(workers)


def _sum(workers: list[_Worker]) -> Tally:
    total = Tally()
    for worker in workers:
        total.add(worker.tally)
    return total


def _died(worker: _Worker) -> LakeError:
    code = worker.process.wait()
    killed = ", killed: is memory short?" if code == -signal.SIGKILL else ""
    return LakeError(
        f"an ingest process ended before its work was done (exit code {code}{killed}); what is "
        "committed is whole: run the same command again"
    )
