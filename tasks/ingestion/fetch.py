"""One polite GET after another; the door to aiohttp.

Every URL ends with an Outcome: within its deadline, within its byte limit, after robots.txt and
the opt-out headers had their say, and never at an address that is not public. Redirects are
followed here, so each hop passes the same checks.
"""

import asyncio
import random
import socket
import ssl
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
from protego import Protego

from tasks.ingestion.guard import BlockedAddressError, GuardedResolver, check_literal
from tasks.ingestion.policy import opted_out, retry_after_s
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.urls import BadUrlError, host_of, normalise, origin_of
from tasks.rows import Outcome

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
PASSING_OUTCOMES = frozenset(
    {
        Outcome.CONNECT,
        Outcome.CONNECTION_RESET,
        Outcome.PROTOCOL,
        Outcome.INCOMPLETE_BODY,
        Outcome.DNS,
    }
)
FIRST_BACKOFF_S = 0.25
ROBOTS_MAX_BYTES = 512 << 10  # RFC 9309, section 2.5
BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one URL gave: an outcome (KEPT when the body is there), and how it went."""

    url: str
    outcome: Outcome
    body: bytes = b""
    message: str = ""
    http_status: int | None = None
    final_url: str = ""
    content_type: str = ""
    attempts: int = 1
    seconds: float = 0.0
    retry_after: float | None = None


class _RefusedError(Exception):
    """A request that ends here, with its outcome."""

    def __init__(self, outcome: Outcome, message: str = "", **facts: object) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message
        self.facts = facts


@dataclass(slots=True)
class _Origins:
    """What is remembered of each origin while a batch runs."""

    robots: dict[str, asyncio.Task[Protego | None]] = field(default_factory=dict)


class Fetcher:
    """A client for many URLs; use it as `async with Fetcher(settings) as fetcher`."""

    def __init__(self, how: Ingestion) -> None:
        self.how = how
        self._origins = _Origins()
        self._hosts: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(how.per_host_concurrency)
        )

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=self.how.concurrency,
            resolver=GuardedResolver(self.how.allow_private_hosts),
            ttl_dns_cache=300,
            ssl=ssl.create_default_context(),  # made once: one costs 40 ms with OpenSSL 3
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": self.how.agent, "Accept": "image/*,*/*;q=0.8"},
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._origins.robots.values():
            task.cancel()
        await self._session.close()

    async def get(self, url: str) -> Fetched:
        """Fetch a URL, retrying what may pass; never raises for what a server does."""
        started = time.monotonic()
        for attempt in range(1, self.how.retries + 2):
            async with self._hosts[host_of(url)]:
                fetched = await self._attempt(url)
            fetched = replace(fetched, attempts=attempt, seconds=time.monotonic() - started)
            if attempt > self.how.retries or not _may_pass(fetched):
                break
            backoff = FIRST_BACKOFF_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
            await asyncio.sleep(fetched.retry_after or backoff)
        return fetched

    async def _attempt(self, url: str) -> Fetched:
        try:
            async with asyncio.timeout(self.how.timeout_s):
                return await self._follow(url)
        except _RefusedError as refused:
            return Fetched(url, refused.outcome, message=refused.message, **refused.facts)  # type: ignore[arg-type]  # the facts are Fetched's own fields
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError) as error:
            return Fetched(url, outcome_of(error), message=_said(error))

    async def _follow(self, url: str) -> Fetched:
        """Follow redirects until a body or a refusal."""
        address = url
        for _ in range(MAX_REDIRECTS + 1):
            address = await self._permitted(address)
            async with self._session.get(address, allow_redirects=False) as answer:
                if answer.status not in REDIRECTS:
                    return await self._read(url, address, answer)
                location = answer.headers.get("Location", "")
            if not location:
                raise _RefusedError(
                    Outcome.PROTOCOL, "a redirect without a Location", http_status=answer.status
                )
            address = urljoin(address, location)
        raise _RefusedError(Outcome.TOO_MANY_REDIRECTS, f"more than {MAX_REDIRECTS} redirects")

    async def _permitted(self, url: str) -> str:
        """Return the address in its one spelling if it may be asked at all."""
        try:
            address = normalise(url)
        except BadUrlError as error:
            known = error.scheme not in ("", "http", "https")
            raise _RefusedError(
                Outcome.BAD_SCHEME if known else Outcome.BAD_URL, str(error)
            ) from error
        check_literal(host_of(address), self.how.allow_private_hosts)
        if self.how.respect_robots:
            rules = await self._robots(origin_of(address))
            if rules is None:
                raise _RefusedError(Outcome.ROBOTS_TXT, "robots.txt answers with a server error")
            if not rules.can_fetch(address, self.how.user_agent):
                raise _RefusedError(Outcome.ROBOTS_TXT, "robots.txt disallows it")
        return address

    async def _read(self, url: str, address: str, answer: aiohttp.ClientResponse) -> Fetched:
        facts = {
            "http_status": answer.status,
            "final_url": address,
            "content_type": answer.headers.get("Content-Type", "")[:200],
        }
        if answer.status != 200:
            raise _RefusedError(
                Outcome.EMPTY_BODY if answer.status == 204 else Outcome.HTTP_ERROR,
                f"HTTP {answer.status}",
                retry_after=retry_after_s(answer.headers),
                **facts,
            )
        product = self.how.user_agent.partition("/")[0]
        if self.how.respect_opt_outs and opted_out(answer.headers.items(), product):
            raise _RefusedError(Outcome.OPTED_OUT, "a header opts out of this use", **facts)
        body = await self._body(answer, facts)
        if not body:
            raise _RefusedError(Outcome.EMPTY_BODY, "the body is empty", **facts)
        return Fetched(url, Outcome.KEPT, body, **facts)  # type: ignore[arg-type]  # as above

    async def _body(self, answer: aiohttp.ClientResponse, facts: dict[str, object]) -> bytes:
        limit = self.how.max_bytes
        if (answer.content_length or 0) > limit:
            raise _RefusedError(Outcome.TOO_LARGE, f"more than {limit} bytes announced", **facts)
        body = bytearray()
        async for block in answer.content.iter_chunked(BLOCK):
            body += block
            if len(body) > limit:
                raise _RefusedError(Outcome.TOO_LARGE, f"more than {limit} bytes sent", **facts)
        return bytes(body)

    async def _robots(self, origin: str) -> Protego | None:
        """Return an origin's rules, read once; None means everything is forbidden for now."""
        if origin not in self._origins.robots:
            self._origins.robots[origin] = asyncio.create_task(self._read_robots(origin))
        return await asyncio.shield(self._origins.robots[origin])

    async def _read_robots(self, origin: str) -> Protego | None:
        # RFC 9309, 2.3.1: 4xx and unreachable-by-name sites allow all, server errors forbid all.
        try:
            async with asyncio.timeout(self.how.timeout_s):
                check_literal(host_of(origin), self.how.allow_private_hosts)
                async with self._session.get(f"{origin}/robots.txt", max_redirects=5) as answer:
                    if answer.status >= 500:
                        return None
                    text = await answer.content.read(ROBOTS_MAX_BYTES) if answer.ok else b""
                    return Protego.parse(text.decode("utf-8", "replace"))
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError):
            return Protego.parse("")  # the picture's own request will say what is wrong


def _may_pass(fetched: Fetched) -> bool:
    if fetched.outcome is Outcome.HTTP_ERROR:
        return fetched.http_status in PASSING
    return fetched.outcome in PASSING_OUTCOMES


def outcome_of(error: Exception) -> Outcome:
    """Name a client's exception; by type, never by its text."""
    cause = error.__cause__ if isinstance(error.__cause__, BlockedAddressError) else error
    inner = getattr(error, "os_error", None)
    for seen in (cause, inner):
        if isinstance(seen, BlockedAddressError):
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


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
