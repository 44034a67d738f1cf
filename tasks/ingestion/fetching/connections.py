"""Connections to public addresses, on which no server can send answers that nobody asked for."""

import asyncio
import functools
import re
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadHttpMessage

from tasks.ingestion.fetching.guard import GuardedResolver
from tasks.ingestion.settings import Ingestion

MOST_INTERIM = 16  # 100 Continue, 103 Early Hints: sites send one or two before the answer
DNS_TTL_S = 300
BLANK_LINE = re.compile(rb"\n\r?\n")  # the end of a head
WITHOUT_BODY = frozenset({204, 304})
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
    """One that ends after many interim answers, and takes no more than a body's announced length.

    aiohttp would queue and skip interim answers for ever: eight connections flooded with 100
    Continue held the event loop for 10 s and 0.7 GB. And it would give up a whole body when bytes
    come behind it, which browsers pass over.
    """

    interim = 0
    # Bytes of the body still to come; None before its head has come, or when nobody counts.
    left: int | None = None
    is_counting = True

    def set_response_params(self, **given: Any) -> None:
        """Prepare for the answer to another request."""
        self.left, self.is_counting = None, True
        super().set_response_params(**given)

    def data_received(self, data: bytes) -> None:
        """Take what has come, head and body apart; what is behind the body ends the connection."""
        while self.is_counting and self.left is None and (blank := BLANK_LINE.search(data)):
            head, data = data[: blank.end()], data[blank.end() :]
            self._take(head)
            if not data or self.transport is None or self.transport.is_closing():
                return
        if self.left is None:
            # A head in several pieces, or a body of unknown length. No data is a sign to go on.
            self.is_counting &= not data
            self._take(data)
            return
        body, behind = data[: self.left], data[self.left :]
        self.left -= len(body)
        if body or not data:
            self._take(body)
        if behind and self.transport is not None:
            self._should_close = True
            self.transport.close()

    def _take(self, data: bytes) -> None:
        """Let aiohttp parse bytes; when it gives up, say so to who reads the body, who waits."""
        payload = self._payload
        super().data_received(data)
        error = self.exception()
        if error is not None and payload is not None and not payload.is_eof():
            said = getattr(error, "message", "") or str(error)
            payload.set_exception(aiohttp.ClientConnectionError(said))

    def feed_data(self, data: tuple[Any, Any], size: int = 0) -> None:
        """Take an answer, or drop one that only says that more is to come."""
        status = data[0].code
        if not 100 <= status < 200 or status == 101:
            self.interim = 0
            self.left = _length_of(data[0])
            self.is_counting &= self.left is not None
            super().feed_data(data, size)
            return
        self.interim += 1
        if self.interim == MOST_INTERIM and self.transport is not None:
            self.transport.close()
            self.set_exception(BadHttpMessage(f"{MOST_INTERIM} interim answers and no other"))


def _length_of(message: Any) -> int | None:
    """Return the bytes of an answer's body as its head announces them, or None."""
    if message.code in WITHOUT_BODY:
        return 0
    length = message.headers.get("Content-Length")
    return None if message.chunked or length is None else int(length)
