"""How many bytes of bodies may be in memory at once, from the socket to the shard.

A body asks for its bytes before it is read: for all of them when its length is announced, bit by
bit otherwise. If all waited for more while they hold some, none would ever end; therefore the
eldest body that is still being read may go over the limit once only such bodies hold memory. So
what is in use stays below the limit and one largest body.
"""

import asyncio


class Budget:
    """A limit in bytes that all bodies of a process share; for one event loop, on its thread.

    A body has a `Hold` from its first byte until `Hold.release`. Whoever fetches with a budget must
    release each body when done with it, decoded and written, or fetching stops there.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used = 0
        self._settled = 0  # of them, held by bodies that are whole
        # Eldest first; with what wakes those who wait.
        self._reading: dict[Hold, asyncio.Future[None] | None] = {}
        self._waiting = 0

    def grant(self, hold: "Hold", more: int) -> bool:
        """Give a hold that many more bytes now, unless it has to wait for them."""
        self._reading.setdefault(hold)
        # A newcomer queues behind those who wait, else small bodies would keep a large one out.
        return (bool(hold.size) or not self._waiting) and self._gave(hold, more)

    async def wait(self, hold: "Hold", more: int) -> None:
        """Wait until a hold has that many more bytes."""
        hold.wanted = more
        self._reading[hold] = waiter = asyncio.get_running_loop().create_future()
        self._waiting += 1
        try:
            await waiter
        finally:
            self._reading[hold] = None
            self._waiting -= 1

    def settle(self, hold: "Hold", size: int) -> None:
        """Note that a body is whole, and take back what it has beyond its size."""
        self._reading.pop(hold, None)
        self.used += size - hold.size
        self._settled += size
        hold.size = size
        self._serve()

    def give_back(self, hold: "Hold") -> None:
        """Take back all that a hold has."""
        if hold in self._reading:
            del self._reading[hold]
        else:
            self._settled -= hold.size
        self.used -= hold.size
        hold.size = 0
        self._serve()

    def _gave(self, hold: "Hold", more: int) -> bool:
        fits = self.used + more <= self.max_bytes
        is_stuck = not self._settled and hold is next(iter(self._reading))
        if fits or is_stuck:
            self.used += more
            hold.size += more
        return fits or is_stuck

    def _serve(self) -> None:
        """Give those who wait what they wait for, the eldest first, as far as it goes."""
        for hold, waiter in self._reading.items():
            if waiter is not None and not waiter.done():
                if not self._gave(hold, hold.wanted):
                    return
                waiter.set_result(None)


class Hold:
    """The bytes of one body."""

    def __init__(self, budget: Budget) -> None:
        self.size = 0
        self.wanted = 0
        self._budget = budget

    def covers(self, size: int) -> bool:
        """True when the body may be that large at once; it then has the bytes."""
        return size <= self.size or self._budget.grant(self, size - self.size)

    async def cover(self, size: int) -> None:
        """Wait until the body may be that large, in bytes."""
        if not self.covers(size):
            await self._budget.wait(self, size - self.size)

    def settle(self, size: int) -> None:
        """Say that the body is whole, and its bytes."""
        self._budget.settle(self, size)

    def release(self) -> None:
        """Give everything back; harmless when that was done."""
        self._budget.give_back(self)
