"""The body of an HTTP answer as an archive keeps it: decoded, no further than it may be long."""

import zlib
from collections.abc import Callable

import brotli

CHUNK_LINE = 64  # digits of a chunk's length and what may stand behind them
STEP = 64 << 10


def body_of(kept: bytes, transfer: str, encoding: str, limit: int) -> bytes:
    """Return a body out of its chunks and its compression, at most `limit` bytes of it.

    Many archives keep bodies decoded under headers that say otherwise: what is no chunk and no
    compressed data is taken as it is.

    Args:
        kept: what the archive keeps.
        transfer: the Transfer-Encoding header, or empty.
        encoding: the Content-Encoding header, or empty.
        limit: bytes to return at most.
    """
    if "chunked" in transfer.lower():
        kept = _out_of_chunks(kept)
    decoders: dict[str, Callable[[bytes, int], bytes]] = {
        "gzip": _inflated,
        "x-gzip": _inflated,
        "deflate": _inflated,
        "br": _out_of_brotli,
    }
    for name in reversed([part.strip() for part in encoding.lower().split(",")]):
        if name in decoders:
            kept = decoders[name](kept, limit)
    return kept[:limit]


def _out_of_chunks(kept: bytes) -> bytes:
    """RFC 9112, section 7.1."""
    found: list[bytes] = []
    position = 0
    while True:
        end = kept.find(b"\r\n", position, position + CHUNK_LINE)
        try:
            size = int(kept[position : max(end, position)].partition(b";")[0], 16)
        except ValueError:
            return b"".join(found) if found else kept
        if size <= 0:
            return b"".join(found)
        found.append(kept[end + 2 : end + 2 + size])
        position = end + 2 + size + 2


def _inflated(kept: bytes, limit: int) -> bytes:
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):  # gzip or zlib; deflate without a header
        try:
            return zlib.decompressobj(window).decompress(kept, limit)
        except zlib.error:
            continue
    return kept


def _out_of_brotli(kept: bytes, limit: int) -> bytes:
    decoder = brotli.Decompressor()
    found = bytearray()
    waiting = kept
    try:
        while len(found) < limit:
            block = decoder.process(waiting, output_buffer_limit=STEP)
            if not block:
                break
            found += block
            waiting = b""
    except brotli.error:
        return bytes(found) if found else kept
    return bytes(found) if found else kept
