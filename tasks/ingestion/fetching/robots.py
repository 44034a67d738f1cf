"""robots.txt as RFC 9309 wants it fetched: once for each origin, obeyed on every hop."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tasks.ingestion.fetching.fetched import Fetched
from tasks.ingestion.fetching.rules import Rules
from tasks.rows import Outcome

MAX_BYTES = 500 << 10  # RFC 9309, section 2.5
TTL_S = 24 * 3600.0  # section 2.4
FAILED_TTL_S = 60.0
MOST_ORIGINS = 50_000  # remembered; most have no rules for us, and share these
MOST_REMEMBERED_BYTES = 8 << 20  # of all their files
NO_RULES = Rules({})
DISALLOWED = Fetched("", Outcome.ROBOTS_TXT, message="robots.txt disallows it")


class Robots:
    """The rules of the origins met lately."""

    def __init__(self, get: Callable[[str], Awaitable[Fetched]], agent: str) -> None:
        self._get = get
        self._agent = agent
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._bytes = 0
        self._asked: dict[str, asyncio.Task[_Known]] = {}

    def known(self, origin: str) -> "Rules | Fetched | None":
        """Return an origin's rules, or what came of asking for them, or None before that."""
        known = self._known.get(origin)
        return known.rules if known is not None and known.until_s > time.monotonic() else None

    async def read(self, origin: str) -> "Rules | Fetched":
        """Return an origin's rules, or what came of asking for them."""
        if origin not in self._asked:
            self._asked[origin] = asyncio.create_task(self._read(origin))
        # Shielded: the others who wait for these rules do not share this one's deadline.
        return (await asyncio.shield(self._asked[origin])).rules

    async def close(self) -> None:
        """Stop asking."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def _read(self, origin: str) -> "_Known":
        try:
            answer = await self._get(f"{origin}/robots.txt")
            known = self._known_of(answer)
            self._remember(origin, known)
            return known
        finally:
            del self._asked[origin]

    def _known_of(self, answer: Fetched) -> "_Known":
        now_s = time.monotonic()
        if answer.outcome is Outcome.KEPT:
            # The last line of a file that was cut may be the beginning of a longer one.
            whole = answer.body[:MAX_BYTES]
            if len(answer.body) > MAX_BYTES:
                whole = whole[: whole.rfind(b"\n") + 1]
            rules = Rules.parse(whole.decode("utf-8", "replace"), self._agent)
            return _Known(rules, now_s + TTL_S, len(whole))
        if _leaves_open(answer):
            return _Known(NO_RULES, now_s + TTL_S)
        # Section 2.3.1.4: unreachable rules forbid everything. A server's error is said as such; a
        # host that cannot be reached at all is what its pictures' rows had better say.
        is_error = answer.outcome is Outcome.HTTP_ERROR
        outcome = Outcome.ROBOTS_TXT if is_error else answer.outcome
        said = f"robots.txt: {answer.message}"
        return _Known(Fetched(answer.url, outcome, message=said), now_s + FAILED_TTL_S)

    def _remember(self, origin: str, known: "_Known") -> None:
        if (before := self._known.pop(origin, None)) is not None:
            self._bytes -= before.size
        self._known[origin] = known
        self._bytes += known.size
        while len(self._known) > MOST_ORIGINS or self._bytes > MOST_REMEMBERED_BYTES:
            self._bytes -= self._known.popitem(last=False)[1].size


@dataclass(frozen=True, slots=True)
class _Known:
    rules: Rules | Fetched
    until_s: float
    size: int = 0


def refusal(rules: Rules | Fetched, target: str) -> Fetched | None:
    """Return what a URL ends with that may not be asked, or None when it may."""
    if isinstance(rules, Fetched):
        return rules
    return None if rules.allow(target) else DISALLOWED


def _leaves_open(answer: Fetched) -> bool:
    """True when a site has no rules: there is no such file, or it is empty (section 2.3.1.3)."""
    if answer.outcome is Outcome.HTTP_ERROR:
        status = answer.http_status or 0
        return status < 500 and status != 429
    return answer.outcome in (Outcome.EMPTY_BODY, Outcome.TOO_MANY_REDIRECTS)
