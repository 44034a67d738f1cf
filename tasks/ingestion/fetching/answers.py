"""What an answer gives: a body within its limits of bytes, speed and memory, or a refusal."""

import time

import aiohttp

from tasks.ingestion.fetching.budget import Budget, Hold
from tasks.ingestion.fetching.clock import Clock
from tasks.ingestion.fetching.failures import PASSING_STATUSES
from tasks.ingestion.fetching.fetched import Fetched, storable
from tasks.ingestion.fetching.policy import forbids, product_of, reserves, retry_after_s
from tasks.ingestion.fetching.robots import MAX_BYTES as ROBOTS_MAX_BYTES
from tasks.ingestion.fetching.unpacking import PackedError, codings_of, unpacked
from tasks.ingestion.fetching.visits import Way
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome

WITH_BODY = frozenset({200, 203})  # 203: a proxy on the way changed what the site sent
WITHOUT_BODY = frozenset({204, 205})
MOST_BLOCKS = 256  # tiny ones weigh more than what is in them
STEP = 256 << 10  # bytes that a body of unknown length asks of the budget at a time


def note_headers(way: Way, address: str, answer: aiohttp.ClientResponse) -> None:
    """Note what the headers of an answer say of a URL."""
    way.http_status = answer.status
    way.final_url = address
    way.content_type = storable(answer.headers.get("Content-Type", ""))
    way.retry_after_s = retry_after_s(answer.headers.get("Retry-After", ""), time.time())


class Reader:
    """Reads answers as the settings say, within a budget if there is one."""

    def __init__(self, how: Ingestion, budget: Budget | None) -> None:
        self._how = how
        self._budget = budget
        self._product = product_of(how.user_agent)
        self._directives = frozenset(map(str.lower, how.disallowed_header_directives))

    async def read(self, way: Way, answer: aiohttp.ClientResponse) -> Fetched:
        """Return what a URL gave that was answered, and not with a redirect.

        Raises:
            RefusedError: the answer has no body that may be taken.
            aiohttp.ClientError: it breaks off.
        """
        if answer.status in WITHOUT_BODY:
            raise way.refused(Outcome.EMPTY_BODY, f"HTTP {answer.status}")
        if answer.status not in WITH_BODY:
            passes = answer.status in PASSING_STATUSES
            raise way.refused(Outcome.HTTP_ERROR, f"HTTP {answer.status}", may_pass=passes)
        if way.is_robots:
            body = await read_body(answer, ROBOTS_MAX_BYTES, way.clock, None)
            return way.ended(Outcome.KEPT, body=body)
        # Before the body is read: a site that opts out should not pay for sending it.
        self._check_opt_outs(way, answer)
        if (answer.content_length or 0) > self._how.max_bytes:
            raise way.refused(Outcome.TOO_LARGE, f"{answer.content_length} bytes announced")
        if self._budget is None:
            return await self._read_body(way, answer, None)
        hold = Hold(self._budget)
        try:
            return await self._read_body(way, answer, hold)
        except BaseException:
            hold.release()
            raise

    async def _read_body(
        self, way: Way, answer: aiohttp.ClientResponse, hold: Hold | None
    ) -> Fetched:
        limit = self._how.max_bytes
        body = await read_body(answer, limit, way.clock, hold)
        if len(body) > limit:
            raise way.refused(Outcome.TOO_LARGE, f"more than {limit} bytes sent")
        if not body:
            raise way.refused(Outcome.EMPTY_BODY, "the body is empty")
        if hold is not None:
            hold.settle(len(body))
        return way.ended(Outcome.KEPT, body=body, hold=hold)

    def _check_opt_outs(self, way: Way, answer: aiohttp.ClientResponse) -> None:
        if not self._how.respect_opt_outs:
            return
        said = answer.headers.getall("X-Robots-Tag", ())
        if said and forbids(said, self._directives, self._product):
            raise way.refused(Outcome.OPTED_OUT, storable(f"X-Robots-Tag: {', '.join(said)}"))
        reserved = answer.headers.getall("TDM-Reservation", ())
        if self._how.respect_tdm_reservation and reserves(reserved):
            raise way.refused(Outcome.OPTED_OUT, "TDM-Reservation: 1")


async def read_body(
    answer: aiohttp.ClientResponse, limit: int, clock: Clock, hold: Hold | None
) -> bytes:
    """Return the body unpacked, or the beginning of one that is longer than `limit` bytes.

    Args:
        answer: what is read.
        limit: bytes, as sent and unpacked.
        clock: of the URL; it ends a body that is too slow.
        hold: what pays for the memory.

    Raises:
        aiohttp.ClientError: it breaks off, or is not packed as its headers say.
    """
    blocks: list[bytes] = []
    size = 0
    with clock.watching():
        if hold is not None:
            is_packed = "Content-Encoding" in answer.headers
            await _cover(hold, 0 if is_packed else answer.content_length, clock)
        while block := await answer.content.readany():
            blocks.append(block)
            size += len(block)
            clock.received(size)
            if size > limit:
                break
            if hold is not None and size > hold.size:
                await _cover(hold, size + STEP, clock)
            if len(blocks) == MOST_BLOCKS:
                blocks = [b"".join(blocks)]
        codings = codings_of(answer.headers.get("Content-Encoding", ""))
        if codings and size <= limit:
            return await _unpacked(b"".join(blocks), codings, limit, clock, hold)
    return b"".join(blocks)


async def _unpacked(
    packed: bytes, codings: list[str], limit: int, clock: Clock, hold: Hold | None
) -> bytes:
    blocks: list[bytes] = []
    size = 0
    try:
        for block in unpacked(packed, codings):
            blocks.append(block)
            size += len(block)
            clock.received(len(packed) + size)
            if size > limit:
                break
            if hold is not None and len(packed) + size > hold.size:
                await _cover(hold, len(packed) + size + STEP, clock)
    except PackedError as error:
        raise aiohttp.ClientPayloadError(str(error)) from error
    return b"".join(blocks)


async def _cover(hold: Hold, size: int | None, clock: Clock) -> None:
    if not hold.covers(size or STEP):
        with clock.stopped():
            await hold.cover(size or STEP)
        clock.forgive()
