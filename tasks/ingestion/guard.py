"""Which addresses may be asked: the public ones, and the hosts a person opened by name.

The check sits in the resolver, below the client, so it holds on every redirect hop and the
address that was checked is the address that is connected to.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Collection
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

NEGATIVE_TTL_S = 60.0


class BlockedAddressError(OSError):
    """The host is, or resolves to, an address that is not public."""


def is_public(address: str) -> bool:
    """True for an address of the public internet; an IPv4 inside an IPv6 counts as itself."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and int(ip) >> 32 == 0x0064FF9B << 64:  # 64:ff9b::/96, RFC 6052
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is None and int(ip) >> 32 == 0:  # ::a.b.c.d, RFC 4291, section 2.5.5.1
            return False
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast


def is_literal(host: str) -> bool:
    """True when the host is an IP address in any spelling a resolver accepts."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        # 0x7f.1, 2130706433 and the like are addresses to inet_aton and so to getaddrinfo.
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True


def check_literal(host: str, allowed: Collection[str]) -> None:
    """Refuse a host that is itself a private address; clients do not resolve literal ones.

    Raises:
        BlockedAddressError: it is one, and nobody opened it by name.
    """
    bare = host.strip("[]")
    if bare in allowed or not is_literal(bare):
        return
    try:
        address = str(ipaddress.ip_address(bare))
    except ValueError:
        address = socket.inet_ntoa(socket.inet_aton(bare))
    if not is_public(address):
        raise BlockedAddressError(f"{host} is not a public address")


class GuardedResolver(AbstractResolver):
    """getaddrinfo, less the answers that are not public; names that do not exist are remembered."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)
        self._failed: dict[str, float] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the host's public addresses.

        Raises:
            BlockedAddressError: it has others; one private answer condemns the name.
            OSError: it does not resolve.
        """
        if time.monotonic() - self._failed.get(host, -NEGATIVE_TTL_S) < NEGATIVE_TTL_S:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} did not resolve a moment ago")
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        except socket.gaierror as error:
            if error.errno != socket.EAI_AGAIN:  # that one is the resolver's trouble, and passes
                self._failed[host] = time.monotonic()
            raise
        if host not in self._allowed and not all(is_public(str(a[4][0])) for a in answers):
            raise BlockedAddressError(f"{host} resolves to an address that is not public")
        return [_result(host, answer) for answer in answers]

    async def close(self) -> None:
        """Nothing is held."""


def _result(host: str, answer: Any) -> ResolveResult:
    family, _, proto, _, address = answer
    return ResolveResult(
        hostname=host,
        host=str(address[0]),
        port=int(address[1]),
        family=int(family),
        proto=int(proto),
        flags=int(socket.AI_NUMERICHOST | socket.AI_NUMERICSERV),
    )
