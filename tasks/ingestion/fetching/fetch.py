"""One polite GET after another; the door to aiohttp.

Every URL ends with an Outcome: within its deadline, within its byte limit, after robots.txt and
the opt-out headers had their say, and never at an address that is not public. Redirects are
followed here, so each hop passes the same checks.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from tasks.ingestion.fetching.addresses import Address, address_of, scheme_outcome
from tasks.ingestion.fetching.answers import Reader, note_headers
from tasks.ingestion.fetching.budget import Budget
from tasks.ingestion.fetching.connections import connector_of
from tasks.ingestion.fetching.failures import (
    RefusedError,
    may_pass,
    outcome_of,
    pause_s,
    said_of,
)
from tasks.ingestion.fetching.fetched import Fetched, storable
from tasks.ingestion.fetching.guard import check_literal
from tasks.ingestion.fetching.hosts import Breakers, Host, Hosts
from tasks.ingestion.fetching.policy import product_of
from tasks.ingestion.fetching.robots import Robots, refusal
from tasks.ingestion.fetching.unpacking import ACCEPTED
from tasks.ingestion.fetching.visits import Visit, Way
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.sources.urls import BadUrlError, forward_slashed
from tasks.rows import Outcome

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
CONNECT_S = 10.0
READ_BUFFER = 64 << 10  # fewer wakings than with aiohttp's 64 KiB; up to twice this a connection
MAX_HEADER = 64 << 10  # bytes of a header; security policies of 12 KB are sent with pictures


class Fetcher:
    """A client for many URLs; use it as `async with Fetcher(settings) as fetcher`.

    Host limits and breakers are its own: a process wants one fetcher. With a budget, each body that
    `get` returns holds memory until `Fetched.release`; without one only `concurrency` bounds them.
    `part` is what this process may take of every host's rate.
    """

    def __init__(self, how: Ingestion, budget: Budget | None = None, part: float = 1.0) -> None:
        self.how = how
        self._reader = Reader(how, budget)
        self._robots = Robots(self._get_robots, product_of(how.user_agent))
        self._room = asyncio.Semaphore(how.concurrency)
        self._hosts = Hosts(how, part)
        self._breakers = Breakers()
        self._visits: dict[asyncio.Task[object] | None, Visit] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=connector_of(self.how),
            headers={
                "User-Agent": self.how.agent,
                "Accept": "image/*,*/*;q=0.8",
                "Accept-Encoding": ACCEPTED,
            },
            auto_decompress=False,  # aiohttp takes half a gzip for a whole one
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=READ_BUFFER,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
            trust_env=False,  # a proxy would resolve names itself, past the guard
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._robots.close()
        await self._session.close()

    @contextlib.asynccontextmanager
    async def turn(self, url: str) -> AsyncIterator[None]:
        """Wait until this host may be asked once more: for a connection and for its rate.

        Those who queue for a slow host take no room from the others. What `get` needs besides, it
        gets itself; what it leaves is held until the turn ends.
        """
        visit = Visit(self._room)
        task = asyncio.current_task()
        self._visits[task] = visit
        try:
            await self._enter(visit, url)
            yield
        finally:
            del self._visits[task]
            visit.leave()

    async def get(self, url: str) -> Fetched:
        """Fetch a URL within a `turn`, retrying what may pass; never raises for what a server does.

        The deadline is for all tries together; waiting between them does not count.
        """
        visit = self._visits.get(asyncio.current_task())
        if visit is None:
            async with self.turn(url):
                return await self.get(url)
        return await self._tried(url, visit, is_robots=False)

    async def _enter(self, visit: Visit, url: str) -> None:
        with contextlib.suppress(BadUrlError):  # `get` will say so
            address = address_of(url)
            host = self._hosts.of(address.host)
            await visit.enter(host)
            if not self._breakers.is_open(address.origin):
                await visit.take_token(host)

    async def _get_robots(self, url: str) -> Fetched:
        return await self._tried(url, Visit(None), is_robots=True)

    async def _tried(self, url: str, visit: Visit, *, is_robots: bool) -> Fetched:
        way = Way(url, visit, self.how, is_robots=is_robots)
        try:
            async with way.clock.limit:
                fetched = await self._try_again_and_again(way)
        except TimeoutError:
            fetched = way.ended(Outcome.TIMEOUT, way.clock.reason)
        if way.is_asked:
            self._breakers.note(way.origin, fetched)
        return fetched

    async def _try_again_and_again(self, way: Way) -> Fetched:
        for attempt in range(1, self.how.retries + 2):
            fetched = await self._attempt(way)
            wait_s = pause_s(fetched, attempt)
            is_last = attempt > self.how.retries or self._breakers.is_tired(way.origin)
            if is_last or wait_s is None:
                break
            with way.clock.stopped():
                way.visit.leave_room()
                await asyncio.sleep(wait_s)
        return fetched

    async def _attempt(self, way: Way) -> Fetched:
        way.begin()
        try:
            return await self._follow(way)
        except RefusedError as refused:
            return refused.fetched
        except BadUrlError as error:
            return way.ended(scheme_outcome(error), storable(str(error)))
        except (OSError, aiohttp.ClientError, ValueError) as error:
            return way.ended(outcome_of(error), said_of(error), may_pass=may_pass(error))

    async def _follow(self, way: Way) -> Fetched:
        """Follow redirects until a body or a refusal."""
        address = address_of(way.url)
        met: set[str] = set()
        while address.url not in met and len(met) <= MAX_REDIRECTS:
            met.add(address.url)
            await self._permit(way, address)
            host = self._hosts.of(address.host)
            await way.visit.reach(host, way.clock)
            way.attempts += len(met) == 1
            way.is_asked = True
            asked_at_s = time.monotonic()
            # encoded=True: a signed address must arrive as it was spelled.
            request = self._session.get(URL(address.url, encoded=True), allow_redirects=False)
            async with request as answer:
                note_headers(way, address.url, answer)
                _pace(host, way, asked_at_s)
                if answer.status not in REDIRECTS:
                    return await self._reader.read(way, answer)
                location = answer.headers.get("Location", "")
            if not location:
                raise way.refused(Outcome.PROTOCOL, "a redirect without a Location")
            address = address_of(_joined(address.url, location))
        said = "redirects lead in a circle" if address.url in met else "redirects lead on and on"
        raise way.refused(Outcome.TOO_MANY_REDIRECTS, f"{said} (after {len(met)})")

    async def _permit(self, way: Way, address: Address) -> None:
        """Raise when an address may not be asked at all, or asking it is of no use now."""
        way.is_asked = False
        way.origin = address.origin
        refused = self._breakers.refusal(address.origin)
        if refused is None:
            check_literal(address.host, self.how.allow_private_hosts)
            if self.how.respect_robots and not way.is_robots:
                rules = self._robots.known(address.origin)
                if rules is None:
                    with way.clock.stopped():  # rules have a deadline of their own
                        rules = await self._robots.read(address.origin)
                refused = refusal(rules, address.target)
        if refused is not None:
            status = way.http_status if refused.http_status is None else refused.http_status
            way.http_status = status
            raise way.refused(refused.outcome, refused.message)


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, forward_slashed(location))
    except ValueError as error:
        raise BadUrlError(location) from error


def _pace(host: Host, way: Way, asked_at_s: float) -> None:
    """Ask a host more slowly that says it is asked too fast, and faster again later."""
    wait_s = way.retry_after_s
    if way.http_status == 429 or (way.http_status == 503 and wait_s is not None):
        host.slow_down(asked_at_s, wait_s)
    else:
        host.speed_up()
