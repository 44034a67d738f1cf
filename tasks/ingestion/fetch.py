"""One polite GET after another; the door to aiohttp.

Every URL ends with an Outcome: within its deadline, within its byte limit, after robots.txt and
the opt-out headers had their say, and never at an address that is not public. Redirects are
followed here, so each hop passes the same checks.
"""

import asyncio
import contextlib
import random
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from tasks.ingestion.fetched import Fetched, storable
from tasks.ingestion.guard import BlockedAddressError, GuardedResolver, check_literal
from tasks.ingestion.policy import opted_out, retry_after_s
from tasks.ingestion.robots import MAX_BYTES as ROBOTS_MAX_BYTES
from tasks.ingestion.robots import Robots
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.urls import BadUrlError, host_of, normalise, origin_of
from tasks.rows import Outcome

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
PASSING = frozenset(
    {
        Outcome.CONNECT,
        Outcome.CONNECTION_RESET,
        Outcome.PROTOCOL,
        Outcome.INCOMPLETE_BODY,
        Outcome.DNS,
    }
)
FIRST_BACKOFF_S = 0.25
LONGEST_WAIT_S = 30.0  # a server that asks for more is left alone, and its row says so
TIRED_AFTER = 5  # URLs of a host in a row that every try failed; from then on each has one try
BLOCK = 1 << 16


class _RefusedError(Exception):
    """A request that ends here, and as what."""

    def __init__(self, fetched: Fetched) -> None:
        super().__init__(fetched.message)
        self.fetched = fetched


class Fetcher:
    """A client for many URLs; use it as `async with Fetcher(settings) as fetcher`."""

    def __init__(self, how: Ingestion) -> None:
        self.how = how
        product = how.user_agent.partition("/")[0]
        self._product = product
        self._robots = Robots(self._get_robots, product)
        self._room = asyncio.Semaphore(how.concurrency)
        self._hosts: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(how.per_host_concurrency)
        )
        self._failures: dict[str, int] = defaultdict(int)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=0,  # turns limit it, so a slow host cannot fill the pool
            resolver=GuardedResolver(self.how.allow_private_hosts),
            ttl_dns_cache=300,
            ssl=ssl.create_default_context(),  # made once: one costs 40 ms with OpenSSL 3
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": self.how.agent, "Accept": "image/*,*/*;q=0.8"},
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
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
        """Wait until one more request to this host, and one more in all, may be under way.

        The host comes first: those who queue for a slow one take no room from the others.
        """
        async with self._hosts[host_of(url)], self._room:
            yield

    async def get(self, url: str) -> Fetched:
        """Fetch a URL within a `turn`, retrying what may pass; never raises for what a server does.

        The deadline is for all tries together; waiting between them does not count.
        """
        host = host_of(url)
        tries = 1 if self._failures[host] >= TIRED_AFTER else self.how.retries + 1
        fetched = await self._tried(url, tries, is_robots=False)
        self._failures[host] = self._failures[host] + 1 if _may_pass(fetched) else 0
        return fetched

    async def _get_robots(self, url: str) -> Fetched:
        return await self._tried(url, self.how.retries + 1, is_robots=True)

    async def _tried(self, url: str, tries: int, *, is_robots: bool) -> Fetched:
        started = time.monotonic()
        left_s = self.how.timeout_s
        for attempt in range(1, tries + 1):
            began = time.monotonic()
            fetched = await self._attempt(url, left_s, is_robots=is_robots)
            left_s -= time.monotonic() - began
            pause_s = _pause_s(fetched, attempt)
            if attempt == tries or pause_s is None or left_s <= 0:
                break
            await asyncio.sleep(pause_s)
        return replace(fetched, attempts=attempt, seconds=time.monotonic() - started)

    async def _attempt(self, url: str, left_s: float, *, is_robots: bool) -> Fetched:
        try:
            async with asyncio.timeout(left_s):
                return await self._follow(url, is_robots=is_robots)
        except _RefusedError as refused:
            return refused.fetched
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError) as error:
            said = storable(f"{type(error).__name__}: {error}")
            return Fetched(url, outcome_of(error), message=said)

    async def _follow(self, url: str, *, is_robots: bool) -> Fetched:
        """Follow redirects until a body or a refusal."""
        address = url
        for _ in range(MAX_REDIRECTS + 1):
            address = await self._permitted(address, is_robots=is_robots)
            # encoded=True: a signed address must arrive as it was spelled.
            request = self._session.get(URL(address, encoded=True), allow_redirects=False)
            async with request as answer:
                seen = _seen(url, address, answer)
                if answer.status not in REDIRECTS:
                    return await self._read(seen, answer, is_robots=is_robots)
                location = answer.headers.get("Location", "")
            if not location:
                raise _refused(seen, Outcome.PROTOCOL, "a redirect without a Location")
            address = urljoin(address, location)
        raise _refused(seen, Outcome.TOO_MANY_REDIRECTS, f"more than {MAX_REDIRECTS} redirects")

    async def _permitted(self, url: str, *, is_robots: bool) -> str:
        """Return the address in its one spelling if it may be asked at all."""
        try:
            address = normalise(url)
        except BadUrlError as error:
            other = error.scheme not in ("", "http", "https")
            outcome = Outcome.BAD_SCHEME if other else Outcome.BAD_URL
            raise _RefusedError(Fetched(url, outcome, message=storable(str(error)))) from error
        check_literal(host_of(address), self.how.allow_private_hosts)
        if self.how.respect_robots and not is_robots:
            refusal = await self._robots.refusal(origin_of(address), address)
            if refusal is not None:
                raise _RefusedError(replace(refusal, url=url))
        return address

    async def _read(
        self, seen: Fetched, answer: aiohttp.ClientResponse, *, is_robots: bool
    ) -> Fetched:
        if answer.status != 200:
            outcome = Outcome.EMPTY_BODY if answer.status == 204 else Outcome.HTTP_ERROR
            raise _refused(seen, outcome, f"HTTP {answer.status}")
        if is_robots:
            return replace(seen, body=(await _body(answer, ROBOTS_MAX_BYTES))[:ROBOTS_MAX_BYTES])
        # Before the body is read: a site that opts out should not pay for sending it.
        if self.how.respect_opt_outs and opted_out(answer.headers.items(), self._product):
            raise _refused(seen, Outcome.OPTED_OUT, "a header opts out of this use")
        limit = self.how.max_bytes
        if (answer.content_length or 0) > limit:
            raise _refused(seen, Outcome.TOO_LARGE, f"more than {limit} bytes announced")
        body = await _body(answer, limit)
        if len(body) > limit:
            raise _refused(seen, Outcome.TOO_LARGE, f"more than {limit} bytes sent")
        if not body:
            raise _refused(seen, Outcome.EMPTY_BODY, "the body is empty")
        return replace(seen, body=body)


async def _body(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body, or the beginning of one that is longer than `limit` bytes."""
    body = bytearray()
    async for block in answer.content.iter_chunked(BLOCK):
        body += block
        if len(body) > limit:
            break
    return bytes(body)


def _seen(url: str, address: str, answer: aiohttp.ClientResponse) -> Fetched:
    return Fetched(
        url,
        Outcome.KEPT,
        http_status=answer.status,
        final_url=address,
        content_type=storable(answer.headers.get("Content-Type", "")),
        retry_after_s=retry_after_s(answer.headers, time.time()),
    )


def _refused(seen: Fetched, outcome: Outcome, message: str) -> _RefusedError:
    return _RefusedError(replace(seen, outcome=outcome, message=message))


def _may_pass(fetched: Fetched) -> bool:
    if fetched.outcome is Outcome.HTTP_ERROR:
        return fetched.http_status in PASSING_STATUSES
    return fetched.outcome in PASSING


def _pause_s(fetched: Fetched, attempt: int) -> float | None:
    """Return how long to wait before the next try, or None when there shall be none."""
    if not _may_pass(fetched) or (fetched.retry_after_s or 0.0) > LONGEST_WAIT_S:
        return None
    # Jitter: without it, all who failed together come back together.
    backoff_s = FIRST_BACKOFF_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
    return max(fetched.retry_after_s or 0.0, backoff_s)


def outcome_of(error: Exception) -> Outcome:
    """Name a client's exception; by type, never by its text."""
    if any(isinstance(e, BlockedAddressError) for e in (error, getattr(error, "os_error", None))):
        return Outcome.SSRF_BLOCKED
    kinds: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Outcome], ...] = (
        (TimeoutError, Outcome.TIMEOUT),
        ((aiohttp.ClientConnectorDNSError, socket.gaierror), Outcome.DNS),
        ((aiohttp.ClientSSLError, ssl.SSLError), Outcome.TLS),
        (aiohttp.ClientConnectorError, Outcome.CONNECT),
        (aiohttp.ClientPayloadError, Outcome.INCOMPLETE_BODY),
        (aiohttp.InvalidURL, Outcome.BAD_URL),
        (aiohttp.ServerDisconnectedError, Outcome.PROTOCOL),
        ((ConnectionResetError, aiohttp.ClientOSError), Outcome.CONNECTION_RESET),
        (OSError, Outcome.CONNECT),
    )
    return next((o for kind, o in kinds if isinstance(error, kind)), Outcome.PROTOCOL)
