"""Which addresses may be asked: the public ones, and the hosts a person opened by name.

The check sits in the resolver, below the client, so it holds on every redirect hop and the
address that was checked is the address that is connected to.
"""

import asyncio
import contextlib
import functools
import ipaddress
import socket
import threading
import time
from collections.abc import Collection
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

NEGATIVE_TTL_S = 60.0
MOST_NEGATIVE = 10_000  # names remembered
LOOKUP_S = 10.0
MOST_LOOKUPS = 64  # at once; each is a thread, as the system's resolver knows no other way
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # what RFC 4291 has given out so far
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
# What older Pythons count as global: RFC 6890, section 2.2.2, and the relays of RFC 7526.
SPECIAL = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))

Answers = list[tuple[Any, ...]]


class BlockedAddressError(OSError):
    """The host is, or resolves to, an address that is not public."""


def is_public(address: str) -> bool:
    """True for an address of the public internet; an IPv4 inside an IPv6 counts as itself."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is None:
            return ip.is_global and ip in GLOBAL_UNICAST
        ip = inner
    return ip.is_global and not ip.is_multicast and not any(ip in block for block in SPECIAL)


def is_literal(host: str) -> bool:
    """True when the host is an IP address in any spelling a resolver accepts."""
    return _literal(host) is not None


def check_literal(host: str, allowed: Collection[str]) -> None:
    """Refuse a host that is itself a private address; clients do not resolve literal ones.

    Raises:
        BlockedAddressError: it is one, and nobody opened it by name.
    """
    bare = host.strip("[]")
    if bare in allowed:
        return
    address = _literal(bare)
    if address is not None and not is_public(address):
        raise BlockedAddressError(f"{host} is not a public address")


@functools.lru_cache(maxsize=4096)
def _literal(host: str) -> str | None:
    """Return the address that a host is in itself, in its usual spelling."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        # 0x7f.1, 2130706433 and the like are addresses to inet_aton and so to getaddrinfo.
        try:
            return socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            return None


class GuardedResolver(AbstractResolver):
    """getaddrinfo, less the answers that are not public; names that do not exist are remembered.

    Lookups have threads of their own: the loop's are few, and names whose servers are dead would
    hold them all. Nobody waits for such a thread, neither a URL nor the end of the process.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)
        self._failed: dict[str, float] = {}
        self._room = asyncio.Semaphore(MOST_LOOKUPS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the host's public addresses.

        Raises:
            BlockedAddressError: it has others; one private answer condemns the name.
            OSError: it does not resolve, or nobody said so within 10 s.
        """
        if time.monotonic() - self._failed.get(host, -NEGATIVE_TTL_S) < NEGATIVE_TTL_S:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} did not resolve a moment ago")
        try:
            async with asyncio.timeout(LOOKUP_S):
                answers = await self._looked_up(host, port, family)
        except TimeoutError as error:
            said = f"no answer for {host} within {LOOKUP_S:.0f} s"
            raise socket.gaierror(socket.EAI_AGAIN, said) from error
        except socket.gaierror as error:
            if error.errno != socket.EAI_AGAIN:  # that one is the resolver's trouble, and passes
                self._remember(host)
            raise
        if host not in self._allowed and not all(is_public(str(a[4][0])) for a in answers):
            raise BlockedAddressError(f"{host} resolves to an address that is not public")
        return [_result(host, answer) for answer in answers]

    async def close(self) -> None:
        """Nothing is held."""

    def _remember(self, host: str) -> None:
        self._failed.pop(host, None)  # to the end of the line
        self._failed[host] = time.monotonic()
        if len(self._failed) > MOST_NEGATIVE:
            del self._failed[next(iter(self._failed))]

    async def _looked_up(self, host: str, port: int, family: int) -> Answers:
        await self._room.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Answers] = loop.create_future()

        def take(answers: Answers | OSError) -> None:
            self._room.release()
            if found.done():
                return
            if isinstance(answers, OSError):
                found.set_exception(answers)
            else:
                found.set_result(answers)

        def look() -> None:
            answers: Answers | OSError
            try:
                answers = list(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
            except OSError as error:
                answers = error
            with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits any more
                loop.call_soon_threadsafe(take, answers)

        threading.Thread(target=look, name=f"lookup {host}", daemon=True).start()
        return await found


def _result(host: str, answer: tuple[Any, ...]) -> ResolveResult:
    family, _, proto, _, address = answer
    return ResolveResult(
        hostname=host,
        host=str(address[0]),
        port=int(address[1]),
        family=int(family),
        proto=int(proto),
        flags=int(socket.AI_NUMERICHOST | socket.AI_NUMERICSERV),
    )
