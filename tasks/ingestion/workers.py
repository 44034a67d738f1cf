"""One process a core: each has its own event loop, decoder and writer, and shares nothing.

This process is one of them. It hands out shards one at a time and adds up what the others report
every second. No picture crosses a process. Politeness is divided: what a host is asked by all
processes together stays within the limits of the settings.
"""

import asyncio
import contextlib
import multiprocessing
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from tasks.errors import LakeError
from tasks.ingestion.engine import Engine, reason_of
from tasks.ingestion.loop import run
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.sources.planning import RUN, STAGE
from tasks.ingestion.tally import Tally
from tasks.ingestion.worker import NEXT, reporting
from tasks.storage import Lake, Shard

LONGEST_END_S = 5.0
# No garbage is looked for among modules: it costs a tenth of starting.
START = "import gc; gc.disable(); from tasks.ingestion.worker import work_on; work_on({})"
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
        processes: this one is among them.
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
    left = _Left(shards)
    own = share(how, count)
    with _processes(lake, own, count - 1) as workers:
        return run(_together(lake, own, left, workers, seen))


def share(how: Ingestion, processes: int) -> Ingestion:
    """Return the settings of one of several processes."""
    return replace(
        how,
        concurrency=-(-how.concurrency // processes),
        per_host_concurrency=max(1, how.per_host_concurrency // processes),
    )


class _Left:
    """The shards that nobody has taken yet; each is given to one who asks, from any thread."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = list(reversed(shards))

    def take(self) -> Shard | None:
        try:
            return self._shards.pop()  # atomic
        except IndexError:
            return None


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
    try:
        for _ in range(count):
            ours, theirs = multiprocessing.Pipe()
            number = theirs.fileno()
            program = f"import sys; sys.path[:] = {sys.path!r}; {START.format(number)}"
            process = subprocess.Popen([sys.executable, "-c", program], pass_fds=[number])
            theirs.close()  # so that the end of the process is the end of the pipe
            workers.append(_Worker(process, ours))
            ours.send((lake, how, 1 / (count + 1)))
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


async def _together(
    lake: Lake, how: Ingestion, left: _Left, workers: list[_Worker], watch: Watch
) -> Tally:
    """Ingest in this process beside the others, until all shards are done."""
    engine = Engine(lake, how, 1 / (len(workers) + 1))

    async def next_shard() -> Shard | None:
        return left.take()

    def report(own: Tally) -> None:
        watch(_sum(own, workers))

    # A thread of ours: the loop's own pool would wait for it even after an error.
    serving = ThreadPoolExecutor(1, thread_name_prefix="serve")
    try:
        async with reporting(engine, report), asyncio.TaskGroup() as group:
            group.create_task(engine.run(next_shard))
            if workers:
                loop = asyncio.get_running_loop()
                group.create_task(_done(loop.run_in_executor(serving, _serve, workers, left)))
    except BaseExceptionGroup as errors:
        raise reason_of(errors) from None
    finally:
        serving.shutdown(wait=False)
    return _sum(engine.tally, workers)


async def _done(waited: Awaitable[None]) -> None:
    await waited


def _serve(workers: list[_Worker], left: _Left) -> None:
    """Hand out shards to processes until they have no more to do."""
    busy = {worker.connection: worker for worker in workers}
    while busy:
        for connection in wait(list(busy)):
            assert isinstance(connection, Connection)
            worker = busy[connection]
            try:
                said = connection.recv()
                if said == NEXT:
                    connection.send(left.take())
            except (EOFError, OSError):
                raise _died(worker) from None
            if isinstance(said, Tally):
                worker.tally = said
            elif isinstance(said, Exception):
                raise said
            elif said is None:
                del busy[connection]


def _sum(own: Tally, workers: list[_Worker]) -> Tally:
    total = Tally()
    total.add(own)
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
