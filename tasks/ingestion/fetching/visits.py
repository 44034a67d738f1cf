"""What a URL holds while it is under way, and what it gives up whenever it has to wait."""

import asyncio
import time

from tasks.ingestion.fetching.budget import Hold
from tasks.ingestion.fetching.clock import Clock
from tasks.ingestion.fetching.failures import RefusedError
from tasks.ingestion.fetching.fetched import Fetched
from tasks.ingestion.fetching.hosts import Host
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome


class Visit:
    """A slot at one host, a token for the next request there, and a place in the room of all.

    Who waits keeps no place in the room, and who goes on to another host no slot at the first: so
    slow hosts hold up nobody else, and no two wait for each other.
    """

    def __init__(self, room: asyncio.Semaphore | None) -> None:
        """Without a room it is a guest of another visit, whose slot and place count for both."""
        self.waited_s = 0.0
        self._room = room
        self._host: Host | None = None
        self._has_token = False
        self._has_place = False

    async def enter(self, host: Host) -> None:
        """Wait for a slot at a host."""
        if self._room is None:
            return
        began_s = time.monotonic()
        host.visitors += 1
        try:
            await host.slots.acquire()
        except BaseException:
            host.visitors -= 1
            raise
        self._host = host
        self.waited_s += time.monotonic() - began_s

    async def take_token(self, host: Host) -> None:
        """Wait until a host may be asked once more."""
        if not host.has_token():
            began_s = time.monotonic()
            await host.token()
            self.waited_s += time.monotonic() - began_s
        self._has_token = True

    async def reach(self, host: Host, clock: Clock) -> None:
        """Get all that one request to this host needs; waiting for it stops the clock."""
        if self._is_at(host) and self._can_stay() and (self._has_token or host.has_token()):
            await self._take_place()
        else:
            with clock.stopped():
                await self._go_to(host)
        self._has_token = False

    def leave_room(self) -> None:
        """Give up the place in the room for as long as no request is under way."""
        if self._room is not None and self._has_place:
            self._room.release()
        self._has_place = False

    def leave(self) -> None:
        """Give up everything."""
        self.leave_room()
        if self._host is not None:
            self._host.slots.release()
            self._host.visitors -= 1
        self._host = None
        self._has_token = False

    async def _go_to(self, host: Host) -> None:
        if not self._is_at(host):
            self.leave()
            await self.enter(host)
        if not self._has_token and not host.has_token():
            self.leave_room()
            await host.token()
        await self._take_place()

    async def _take_place(self) -> None:
        if self._room is not None and not self._has_place:
            await self._room.acquire()
            self._has_place = True

    def _is_at(self, host: Host) -> bool:
        return self._room is None or self._host is host

    def _can_stay(self) -> bool:
        return self._room is None or self._has_place or not self._room.locked()


class Way:
    """What a URL goes through: its visit, its clock, and how far it is in this try.

    Attributes:
        attempts: tries that asked at all.
        origin: of the hop that is under way.
        is_asked: whether that one was asked.
        http_status, final_url, content_type, retry_after_s: of the last answer.
    """

    def __init__(self, url: str, visit: Visit, how: Ingestion, *, is_robots: bool) -> None:
        self.url = url
        self.visit = visit
        self.clock = Clock(how, visit.waited_s)
        self.is_robots = is_robots
        self.attempts = 0
        self._began_s = time.monotonic()
        self.begin()

    def begin(self) -> None:
        """Begin another try."""
        self.origin = ""
        self.is_asked = False
        self.http_status: int | None = None
        self.final_url = self.content_type = ""
        self.retry_after_s: float | None = None

    def ended(
        self,
        outcome: Outcome,
        message: str = "",
        *,
        may_pass: bool = False,
        body: bytes = b"",
        hold: Hold | None = None,
    ) -> Fetched:
        """Return what the URL gave if it ends here."""
        return Fetched(
            self.url,
            outcome,
            body,
            message,
            self.http_status,
            self.final_url,
            self.content_type,
            self.attempts,
            time.monotonic() - self._began_s,
            self.clock.waited_s,
            self.retry_after_s,
            may_pass,
            hold,
        )

    def refused(self, outcome: Outcome, message: str, *, may_pass: bool = False) -> RefusedError:
        """Return what to raise when the URL ends here without a body."""
        return RefusedError(self.ended(outcome, message, may_pass=may_pass))
