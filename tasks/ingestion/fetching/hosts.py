"""How fast each host may be asked, and whether asking an origin is of any use now.

Limits hold for one process; whoever runs several gives each a part of the rate.
"""

import asyncio
import math
import time
from collections import OrderedDict
from dataclasses import replace

from tasks.ingestion.fetching.fetched import Fetched
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome

RATE = 10.0  # requests a second that a site of the public web is used to from one visitor
BURST = 4  # requests that may come at once after a rest
SLOWEST_RATE = 0.1
THROTTLED_S = 1.0  # no request after a 429 that names no time: a bucket over there may drain
LONGEST_WAIT_S = 30.0  # a server that asks for more is left alone, and its row says so
MOST_HOSTS = 10_000  # remembered; of a longer list, those that rest are forgotten

OPEN_AT = 10
OPEN_S = 30.0
LONGEST_OPEN_S = 3600.0
TIRED_AFTER = 5  # URLs of an origin in a row that every try failed; from then on each has one try
# What the failure of a URL counts towards OPEN_AT: five that cannot be reached, or ten that are
# waited for in vain, for that may be the fault of the files.
WEIGHTS = {Outcome.CONNECT: 2, Outcome.DNS: 2, Outcome.TLS: 2, Outcome.TIMEOUT: 1}
THROTTLED_WEIGHT = 2
# What says nothing about the origin, which was not asked or not at fault.
SILENT = frozenset({Outcome.BAD_URL, Outcome.BAD_SCHEME, Outcome.SSRF_BLOCKED, Outcome.ROBOTS_TXT})


class Host:
    """A host's connections, and its bucket of tokens: one for each request.

    `rate` is what it is asked at most in a second. It halves when the host says 429 and grows by a
    fifth a second while it answers, up to what it began with.
    """

    def __init__(self, rate: float, connections: int) -> None:
        self.slots = asyncio.Semaphore(connections)
        self.visitors = 0  # who has a slot or waits for one
        self.rate = rate
        self._most = rate
        self._next_s = 0.0  # when the next token falls due, were there no burst
        self._paused_until_s = 0.0
        self._slowed_at_s = 0.0
        self._second = 0
        self._asked = [0, 0]  # requests of the last second and of this one

    @property
    def is_resting(self) -> bool:
        """True when nothing but a lowered rate would be forgotten with it."""
        return not self.visitors and self._next_s <= time.monotonic()

    def has_token(self) -> bool:
        """Take a token if one is there."""
        now_s = time.monotonic()
        if self._due_s(now_s) > now_s:
            return False
        self._take(now_s)
        return True

    async def token(self) -> None:
        """Wait for a token; in turn with the others, and until after a pause."""
        while True:
            now_s = time.monotonic()
            if self._paused_until_s > now_s:
                await asyncio.sleep(self._paused_until_s - now_s)
                continue
            due_s = self._take(now_s)
            if due_s > now_s:
                await asyncio.sleep(due_s - now_s)
            if self._paused_until_s <= time.monotonic():
                return

    def slow_down(self, asked_at_s: float, wait_s: float | None) -> None:
        """Ask more slowly, after the pause that the host asks for or a short one.

        The rate halves once for all requests that were under way, by when they were asked.
        """
        if wait_s is not None and wait_s <= LONGEST_WAIT_S:
            self._pause(wait_s)
        if asked_at_s < self._slowed_at_s:
            return
        if wait_s is None:
            self._pause(THROTTLED_S)
        if math.isinf(self.rate):
            self.rate = max(*self._asked, 2 * RATE)
        self.rate = max(self.rate / 2, SLOWEST_RATE)
        self._slowed_at_s = time.monotonic()

    def speed_up(self) -> None:
        """Note an answer: each second of them raises a lowered rate by a fifth."""
        if self.rate < self._most:
            self.rate = min(self.rate + min(0.2, self.rate / 2), self._most)

    def _pause(self, seconds: float) -> None:
        # And then no more at once than the rate says.
        self._paused_until_s = max(self._paused_until_s, time.monotonic() + seconds)
        self._next_s = max(self._next_s, self._paused_until_s)

    def _due_s(self, now_s: float) -> float:
        burst_s = (BURST - 1) / self.rate
        return max(self._next_s, now_s - burst_s, self._paused_until_s)

    def _take(self, now_s: float) -> float:
        due_s = self._due_s(now_s)
        self._next_s = due_s + 1 / self.rate
        if math.isinf(self._most):
            self._count(int(now_s))
        return due_s

    def _count(self, second: int) -> None:
        if second != self._second:
            self._asked = [self._asked[1] if second == self._second + 1 else 0, 0]
            self._second = second
        self._asked[1] += 1


class Hosts:
    """The hosts met so far, by name.

    Args:
        how: the limits.
        part: of every host's rate that is this process's.
    """

    def __init__(self, how: Ingestion, part: float = 1.0) -> None:
        self._how = how
        self._part = part
        self._hosts: OrderedDict[str, Host] = OrderedDict()

    def of(self, name: str) -> Host:
        """Return a host, new if it was not met or is forgotten."""
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = Host(self._rate(name), self._how.per_host_concurrency)
            if len(self._hosts) > MOST_HOSTS:
                self._forget()
        return host

    def _rate(self, name: str) -> float:
        if self._how.per_host_rate:
            return self._how.per_host_rate * self._part
        # Who opens a private host by name asks a machine of their own, and knows what it bears.
        return math.inf if name in self._how.allow_private_hosts else RATE * self._part

    def _forget(self) -> None:
        for _ in range(8):  # not all: a long list of busy hosts would be gone through each time
            name, host = self._hosts.popitem(last=False)
            if not host.is_resting:
                self._hosts[name] = host


class Breakers:
    """Origins that URL after URL found out of reach: the others of theirs end at once.

    After a while one URL is let through; if it fares no better, the rest go on waiting in vain.
    """

    def __init__(self) -> None:
        self._troubles: OrderedDict[str, _Trouble] = OrderedDict()

    def refusal(self, origin: str) -> Fetched | None:
        """Return what a URL ends with that is not worth asking, or None when it is."""
        trouble = self._troubles.get(origin)
        if trouble is None or trouble.weight < OPEN_AT:
            return None
        now_s = time.monotonic()
        if trouble.open_until_s <= now_s:
            trouble.open_until_s = now_s + OPEN_S  # this one is the trial
            return None
        said = f"not asked: {trouble.failures} of this site failed in a row, the last with "
        return replace(trouble.last, message=said + trouble.last.message)

    def is_open(self, origin: str) -> bool:
        """True when `refusal` would refuse; this asks for no trial."""
        trouble = self._troubles.get(origin)
        if trouble is None or trouble.weight < OPEN_AT:
            return False
        return trouble.open_until_s > time.monotonic()

    def is_tired(self, origin: str) -> bool:
        """True when so much failed there that no URL deserves a second try."""
        trouble = self._troubles.get(origin)
        return trouble is not None and trouble.failures >= TIRED_AFTER

    def note(self, origin: str, fetched: Fetched) -> None:
        """Take what became of a URL of this origin that was asked."""
        if fetched.outcome in SILENT:
            return
        weight = WEIGHTS.get(fetched.outcome, 0)
        if fetched.http_status == 429 or (fetched.may_pass and fetched.retry_after_s is not None):
            weight = THROTTLED_WEIGHT
        if not weight and not fetched.may_pass:
            self._troubles.pop(origin, None)
            return
        trouble = self._troubles.setdefault(origin, _Trouble())
        trouble.failures += 1
        trouble.weight = trouble.weight + weight if weight else 0  # any answer: it can be reached
        trouble.last = fetched
        asked_s = min(fetched.retry_after_s or 0.0, LONGEST_OPEN_S)
        trouble.open_until_s = time.monotonic() + max(OPEN_S, asked_s)
        if len(self._troubles) > MOST_HOSTS:
            self._troubles.popitem(last=False)


class _Trouble:
    """What failed at an origin since something last came of it."""

    def __init__(self) -> None:
        self.failures = 0
        self.weight = 0
        self.open_until_s = 0.0
        self.last = Fetched("", Outcome.CONNECT)
