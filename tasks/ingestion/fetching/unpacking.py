"""The content codings of an answer undone, a piece at a time and to their end (RFC 9110, 8.4.1).

What ends too early is refused: half a picture may look like a whole one.
"""

import zlib
from collections.abc import Callable, Iterator

import brotli

STEP = 256 << 10  # bytes unpacked at a time
MOST_CODINGS = 3
GZIP = b"\x1f\x8b"
GZIP_WINDOW = zlib.MAX_WBITS | 16
DEFLATE = 8  # zlib's method, in the low half of its first byte (RFC 1950)

Pieces = Iterator[bytes]
ACCEPTED = "gzip, deflate, br"


class PackedError(ValueError):
    """What was sent is not what its Content-Encoding says, or ends too early."""


def codings_of(header: str) -> list[str]:
    """Return the codings of a Content-Encoding header that can be undone, in their order.

    Others, such as `utf-8`, are words of servers that mean nothing by them.
    """
    said = [one.strip().lower() for one in header.split(",")]
    return [one for one in said if one in UNPACKED]


def unpacked(body: bytes, codings: list[str]) -> Pieces:
    """Yield a body out of its codings, the last of which is undone first.

    Raises:
        PackedError: it is not packed so, or not to its end.
    """
    if len(codings) > MOST_CODINGS:
        raise PackedError(f"packed {len(codings)} times")
    pieces: Pieces = iter((body,)) if body else iter(())
    for coding in reversed(codings):
        pieces = UNPACKED[coding](pieces)
    return pieces


def _out_of_gzip(pieces: Pieces) -> Pieces:
    decoder = None
    for piece in pieces:
        waiting = piece
        while waiting or decoder is None:
            decoder = decoder or zlib.decompressobj(GZIP_WINDOW)
            yield from _inflated(decoder, waiting, "gzip")
            waiting = b""
            if decoder.eof:
                waiting, decoder = decoder.unused_data, None
                if not waiting.startswith(GZIP):  # behind the last member may be anything
                    return
    if decoder is not None:
        raise PackedError("the gzip ends too early")


def _out_of_deflate(pieces: Pieces) -> Pieces:
    decoder = None
    for piece in pieces:
        if decoder is None:
            # Some servers leave zlib's header out, and browsers take both.
            has_header = piece[0] & 15 == DEFLATE and int.from_bytes(piece[:2], "big") % 31 == 0
            decoder = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        yield from _inflated(decoder, piece, "deflate")
        if decoder.eof:
            return
    if decoder is not None:
        raise PackedError("the deflate ends too early")


def _inflated(decoder: "zlib._Decompress", waiting: bytes, name: str) -> Pieces:
    is_more = True
    while is_more:
        try:
            piece = decoder.decompress(waiting, STEP)
        except zlib.error as error:
            raise PackedError(f"no {name}: {error}") from error
        waiting = decoder.unconsumed_tail
        if piece:
            yield piece
        is_more = not decoder.eof and (bool(waiting) or len(piece) == STEP)


def _out_of_brotli(pieces: Pieces) -> Pieces:
    decoder = None
    for piece in pieces:
        decoder = decoder or brotli.Decompressor()
        waiting = piece
        try:
            while found := decoder.process(waiting, output_buffer_limit=STEP):
                yield found
                waiting = b""
        except brotli.error as error:
            raise PackedError(f"no brotli: {error}") from error
    if decoder is not None and not decoder.is_finished():
        raise PackedError("the brotli ends too early")


UNPACKED: dict[str, Callable[[Pieces], Pieces]] = {
    "gzip": _out_of_gzip,
    "x-gzip": _out_of_gzip,
    "deflate": _out_of_deflate,
    "br": _out_of_brotli,
}
