"""Connections to public addresses, on which no server can pile up answers that nobody asked for."""

import asyncio
import functools
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadHttpMessage

from tasks.ingestion.guard import GuardedResolver
from tasks.ingestion.settings import Ingestion

MOST_INTERIM = 16  # 100 Continue, 103 Early Hints: sites send one or two before the answer
DNS_TTL_S = 300
KEEP_S = 5.0  # for the host's next picture; a TLS connection holds a quarter of a megabyte


def connector_of(how: Ingestion) -> aiohttp.TCPConnector:
    """Return the connections of one client, for as many requests as it has under way."""
    connector = aiohttp.TCPConnector(
        limit=0,  # turns limit it, so a slow host cannot fill the pool
        resolver=GuardedResolver(how.allow_private_hosts),
        ttl_dns_cache=DNS_TTL_S,
        keepalive_timeout=KEEP_S,
        # No context of ours: aiohttp has made one for the process, and each costs 40 ms.
    )
    factory = functools.partial(_Connection, loop=asyncio.get_running_loop())
    connector._factory = factory  # type: ignore[assignment]  # of ResponseHandlers, it says
    return connector


class _Connection(ResponseHandler):
    """One that ends after many interim answers; aiohttp would queue and skip them for ever.

    Eight connections flooded with 100 Continue held the event loop for 10 s and 0.7 GB.
    """

    interim = 0

    def feed_data(self, data: tuple[Any, Any], size: int = 0) -> None:
        """Take an answer, or drop one that only says that more is to come."""
        status = data[0].code
        if not 100 <= status < 200 or status == 101:
            self.interim = 0
            super().feed_data(data, size)
            return
        self.interim += 1
        if self.interim == MOST_INTERIM and self.transport is not None:
            self.transport.close()
            self.set_exception(BadHttpMessage(f"{MOST_INTERIM} interim answers and no other"))
