"""One process of an ingestion: sockets on an event loop, pictures on one thread, files on another.

Candidates of the next shard start while the last ones of this shard are still under way, so a slow
server holds up its own shard and nothing else. A shard is written when its last candidate has an
outcome.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from hashlib import sha256
from typing import Any, TypeVar

from tasks.errors import CapliftError
from tasks.ingestion.fetching.budget import Budget
from tasks.ingestion.fetching.fetch import Fetcher
from tasks.ingestion.fetching.fetched import Fetched
from tasks.ingestion.pictures.images import Picture, stored_picture
from tasks.ingestion.recording import OpenShard
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.sources.planning import RUN, STAGE, Planned
from tasks.ingestion.sources.warc import warc_body
from tasks.ingestion.tally import Tally
from tasks.ingestion.verifying import further_hash, mismatch
from tasks.reach import store_trouble
from tasks.rows import Outcome
from tasks.storage import Lake, Shard

log = logging.getLogger(__name__)

MOST_OPEN = 4  # shards a process works on at once; each may wait for a last slow server
R = TypeVar("R")
NextShard = Callable[[], Awaitable[Shard | None]]


class Engine:
    """Ingests the shards it is given, one after another; `tally` says how far it is.

    `part` is what it may take of every host's rate.
    """

    def __init__(self, lake: Lake, how: Ingestion, part: float = 1.0) -> None:
        self.tally = Tally()
        self._lake = lake
        self._how = how
        self._part = part
        self._open: set[OpenShard] = set()
        self._pending = 0
        self._moved = asyncio.Event()
        self._budget = Budget(how.max_memory_bytes)

    async def run(self, next_shard: NextShard) -> None:
        """Ingest shards until `next_shard` returns None; those that are committed are left.

        Raises:
            LakeError: a plan is damaged or the lake cannot be written; other shards that were
                open are given up, what is committed stays.
        """
        self.tally.cpu_s["start"] = time.process_time()
        self._loop_began_s = time.thread_time()
        try:
            async with AsyncExitStack() as stack:
                self._decoding = stack.enter_context(_one_thread("decode"))
                self._writing = stack.enter_context(_one_thread("write"))
                self._fetcher = await stack.enter_async_context(
                    Fetcher(self._how, self._budget, self._part)
                )
                group = await stack.enter_async_context(asyncio.TaskGroup())
                while (shard := await self._next(next_shard)) is not None:
                    opened = await self._on(self._writing, "write", OpenShard, self._lake, shard)
                    self._open.add(opened)
                    self._pending += opened.left
                    self.tally.planned += opened.left
                    for index in range(opened.left):
                        group.create_task(self._candidate(opened, index))
        except BaseExceptionGroup as errors:
            raise reason_of(errors) from None
        finally:
            for opened in self._open:
                opened.discard()

    def snapshot(self) -> Tally:
        """Return the tally with the event loop's CPU time; call it on the loop's thread."""
        self.tally.cpu_s["fetch"] = time.thread_time() - self._loop_began_s
        return self.tally

    async def _next(self, next_shard: NextShard) -> Shard | None:
        """Wait until another shard may be opened, and return the next that is not committed."""
        while len(self._open) >= MOST_OPEN or self._pending > 2 * self._how.concurrency:
            self._moved.clear()
            await self._moved.wait()
        while (shard := await next_shard()) is not None:
            if not self._lake.is_committed(STAGE, RUN, shard):
                return shard
        return None

    async def _candidate(self, opened: OpenShard, index: int) -> None:
        """Bring one candidate to its outcome, and its shard to its commit if it was the last."""
        self._count(await self._brought(opened, index))
        opened.left -= 1
        self._pending -= 1
        if opened.left == 0:
            commit = await self._on(self._writing, "write", opened.commit, self._how)
            self._open.discard(opened)
            self.tally.shards += 1
            kept, planned = commit.rows["kept"], commit.rows["planned"]
            log.info("shard %s: kept %d of %d", opened.shard, kept, planned)
        self._moved.set()

    async def _brought(self, opened: OpenShard, index: int) -> Picture:
        """Fetch and decode a candidate, or read it where it lies in an archive."""
        entry = opened.entries[index]
        with self._in("politeness") as moved:
            if entry.body_path:
                moved("decoding")
                # Read on that thread too, so that one such body is in memory at a time.
                return await self._on(
                    self._decoding, "decode", _out_of_archive, opened, index, self._how
                )
            async with self._fetcher.turn(entry.url):
                moved("network")
                fetched = await self._fetcher.get(entry.url)
            moved("decoding")
            try:
                decoding = (opened, index, fetched, self._how)
                return await self._on(self._decoding, "decode", _decoded, *decoding)
            finally:
                fetched.release()

    @contextlib.contextmanager
    def _in(self, phase: str) -> Iterator[Callable[[str], None]]:
        """Count a candidate in one phase at a time; call what it gives to move it to the next."""
        waiting = self.tally.waiting
        where = phase
        waiting[where] += 1

        def moved(to: str) -> None:
            nonlocal where
            waiting[where] -= 1
            where = to
            waiting[where] += 1

        try:
            yield moved
        finally:
            waiting[where] -= 1

    def _count(self, picture: Picture) -> None:
        self.tally.outcomes[picture.outcome.value] += 1
        self.tally.bytes_fetched += picture.columns.get("bytes", 0)
        self.tally.bytes_stored += len(picture.content)

    async def _on(
        self, thread: ThreadPoolExecutor, stage: str, call: Callable[..., R], *args: Any
    ) -> R:
        """Run a call on a thread of ours and count its CPU time to a stage."""

        def timed() -> R:
            began_s = time.thread_time()
            try:
                return call(*args)
            finally:
                self.tally.spend(stage, time.thread_time() - began_s)

        return await asyncio.get_running_loop().run_in_executor(thread, timed)


def reason_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error that a person can mend, or all when there is none such.

    One reason is enough; the others are most often the same.
    """
    # Not by `except*`: what is raised there comes out as a group again.
    found: BaseException = errors.subgroup(_is_mendable) or errors
    while isinstance(found, BaseExceptionGroup) and found is not errors:
        found = found.exceptions[0]
    return found


def _is_mendable(error: BaseException) -> bool:
    return isinstance(error, CapliftError) or bool(store_trouble(error))


@contextlib.contextmanager
def _one_thread(name: str) -> Iterator[ThreadPoolExecutor]:
    executor = ThreadPoolExecutor(1, thread_name_prefix=name)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _out_of_archive(opened: OpenShard, index: int, how: Ingestion) -> Picture:
    entry = opened.entries[index]
    return _decoded(opened, index, warc_body(entry.body_path, entry.body_offset, how), how)


def _decoded(opened: OpenShard, index: int, fetched: Fetched, how: Ingestion) -> Picture:
    picture = _picture(opened.entries[index], fetched, how)
    opened.put(index, fetched, picture)
    return picture


def _picture(entry: Planned, fetched: Fetched, how: Ingestion) -> Picture:
    if fetched.outcome is not Outcome.KEPT:
        return Picture(fetched.outcome, b"", fetched.message, {})
    body = fetched.body
    facts: dict[str, Any] = {"sha256": sha256(body).hexdigest(), "bytes": len(body)}
    facts |= further_hash(how.compute_hash, body)
    if entry.expected_hash and how.verify_hash != "off":
        message = mismatch(entry.expected_hash, body, facts["sha256"])
        facts["hash_matches"] = not message
        if message and how.verify_hash == "drop":
            return Picture(Outcome.HASH_MISMATCH, b"", message, facts)
    picture = stored_picture(body, how, entry.boxes)
    picture.columns.update(facts)
    return picture
