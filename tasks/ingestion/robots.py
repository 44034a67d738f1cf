"""robots.txt as RFC 9309 reads it: asked once for each origin, obeyed on every hop."""

import asyncio
from collections.abc import Awaitable, Callable

from protego import Protego

from tasks.ingestion.fetched import Fetched
from tasks.rows import Outcome

MAX_BYTES = 512 << 10  # RFC 9309, section 2.5
MAX_REDIRECTS = 5  # section 2.3.1.2


class Robots:
    """The rules of every origin met so far."""

    def __init__(self, get: Callable[[str], Awaitable[Fetched]], agent: str) -> None:
        self._get = get
        self._agent = agent
        self._rules: dict[str, asyncio.Task[Protego | Fetched]] = {}

    async def refusal(self, origin: str, url: str) -> Fetched | None:
        """Return why a URL of this origin may not be asked, or None when it may."""
        if origin not in self._rules:
            self._rules[origin] = asyncio.create_task(self._read(origin))
        # Shielded: the others who wait for these rules do not share this one's deadline.
        rules = await asyncio.shield(self._rules[origin])
        if isinstance(rules, Fetched):
            return rules
        if rules.can_fetch(url, self._agent):
            return None
        return Fetched(url, Outcome.ROBOTS_TXT, message="robots.txt disallows it")

    async def close(self) -> None:
        """Stop asking."""
        for task in self._rules.values():
            task.cancel()
        await asyncio.gather(*self._rules.values(), return_exceptions=True)

    async def _read(self, origin: str) -> Protego | Fetched:
        answer = await self._get(f"{origin}/robots.txt")
        if answer.outcome is Outcome.KEPT:
            return Protego.parse(answer.body.decode("utf-8", "replace"))
        if _leaves_open(answer):
            return Protego.parse("")
        # Section 2.3.1.4: unreachable rules forbid everything. A server's error is said as such; a
        # host that cannot be reached at all is what its pictures' rows had better say.
        failed = answer.outcome is Outcome.HTTP_ERROR
        return Fetched(
            answer.url,
            Outcome.ROBOTS_TXT if failed else answer.outcome,
            message=f"robots.txt: {answer.message}",
        )


def _leaves_open(answer: Fetched) -> bool:
    """True when a site has no rules: there is no such file, or it is empty (section 2.3.1.3)."""
    if answer.outcome is Outcome.HTTP_ERROR:
        status = answer.http_status or 0
        return status < 500 and status != 429
    return answer.outcome in (Outcome.EMPTY_BODY, Outcome.TOO_MANY_REDIRECTS)
