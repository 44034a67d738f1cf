"""PNG: its chunks, and a strict decode of those that draw pixels.

Only these reach the decoder: text and profiles that unpack to gigabytes never do, and of an
animated PNG the picture remains that viewers without animation show (W3C PNG, third edition).
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.ingestion.fetched import storable
from tasks.ingestion.formats.metadata import MOST_PROFILE, other_profile, read_exif
from tasks.ingestion.header import MOST_FRAMES, Header, NotStorableError
from tasks.rows import Outcome

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DRAWN = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
# Chunks that change neither pixels nor what a reader must unpack.
HARMLESS = (
    b"sRGB",
    b"gAMA",
    b"cHRM",
    b"pHYs",
    b"tIME",
    b"bKGD",
    b"sBIT",
    b"tEXt",
    b"eXIf",
    b"iCCP",
)
MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
END = b"\0\0\0\0IEND\xaeB`\x82"


@dataclass(slots=True)
class _Chunks:
    """What stands beside the pixels."""

    width: int = 0
    height: int = 0
    depth: int = 0
    colour: int = 0
    frames: int = 1
    others: dict[bytes, bytes] = field(default_factory=dict)
    is_clean: bool = True
    is_ended: bool = False


def read_png(content: bytes) -> Header:
    """Describe a PNG.

    Raises:
        NotStorableError: truncated or damaged before the first pixels.
    """
    found = _Chunks()
    for kind, start, end in _chunks(content):
        _note(found, kind, content, start, end)
        if kind == b"IEND":
            found.is_ended = end + 4 == len(content)
    if not found.depth:
        raise NotStorableError(Outcome.TRUNCATED, "the PNG ends before its first pixels")
    mode = MODES[found.colour] + (";16" if found.depth == 16 else "")
    orientation, exif = read_exif(found.others.get(b"eXIf", b""))
    profile = _unpacked(found.others.get(b"iCCP", b""))
    # Grey and palette pictures carry profiles of colour, which apply once they are colours.
    icc = other_profile(profile, "L" if found.colour in (0, 4) else "RGB")
    is_bare = found.is_clean and found.is_ended and b"tRNS" not in found.others
    return Header(
        format="png",
        mode="1" if (found.colour, found.depth) == (0, 1) else mode,
        width=found.width,
        height=found.height,
        n_frames=min(found.frames, MOST_FRAMES),
        is_animated=found.frames > 1,
        orientation=orientation,
        icc=icc,
        exif=exif,
        is_plain=is_bare and mode == "RGB" and orientation == 1 and not icc,
    )


def decode_png(content: bytes) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return (H, W) grey, or (H, W, 3 or 4) blue first, of 8 or 16 bits.

    Raises:
        NotStorableError: the bytes end too early or are damaged.
    """
    drawn, is_whole = _drawn(content)
    try:
        pixels = cv2.imdecode(np.frombuffer(drawn, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        outcome = Outcome.CORRUPT if is_whole else Outcome.TRUNCATED
        raise NotStorableError(outcome, "the PNG's pixels are damaged or incomplete")
    return _with_grey_key(pixels, content)


def _drawn(content: bytes) -> tuple[bytes, bool]:
    """Return a PNG of the chunks that draw pixels, whose checksums hold, and whether it ended."""
    drawn = [SIGNATURE]
    for kind, start, end in _chunks(content):
        if kind == b"IEND":
            return b"".join([*drawn, END]), True
        if end + 4 > len(content):
            raise NotStorableError(Outcome.TRUNCATED, "the PNG ends too early")
        if kind in DRAWN:
            checksum = int.from_bytes(content[end : end + 4], "big")
            if zlib.crc32(memoryview(content)[start - 4 : end]) != checksum:
                said = f"a checksum of the PNG's {kind.decode()} does not hold"
                raise NotStorableError(Outcome.CORRUPT, said)
            drawn.append(content[start - 8 : end + 4])
        elif kind[:1].isupper():
            said = storable(f"the PNG needs a chunk {kind!r} that nobody knows")
            raise NotStorableError(Outcome.CORRUPT, said)
    # All its pixels may be there all the same.
    return b"".join([*drawn, END]), False


def _note(found: _Chunks, kind: bytes, content: bytes, start: int, end: int) -> None:
    if kind == b"IHDR" and not found.depth:
        _note_size(found, content[start:end])
    elif kind == b"acTL":
        found.frames = max(int.from_bytes(content[start : start + 4], "big"), 1)
        found.is_clean = False
    elif kind in (b"eXIf", b"iCCP", b"tRNS"):
        found.others.setdefault(kind, content[start : min(end, start + MOST_PROFILE)])
    if kind not in (*DRAWN, *HARMLESS, b"IEND"):
        found.is_clean = False


def _note_size(found: _Chunks, payload: bytes) -> None:
    if len(payload) != 13:
        raise NotStorableError(Outcome.CORRUPT, "the PNG's header is damaged")
    found.width = int.from_bytes(payload[:4], "big")
    found.height = int.from_bytes(payload[4:8], "big")
    found.depth, found.colour = payload[8], payload[9]
    if found.depth not in DEPTHS.get(found.colour, ()):
        said = f"no PNG has {found.depth} bits of colour type {found.colour}"
        raise NotStorableError(Outcome.CORRUPT, said)


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's name, and where its payload starts and ends."""
    at = len(SIGNATURE)
    kind = b""
    while at + 8 <= len(content) and kind != b"IEND":
        size = int.from_bytes(content[at : at + 4], "big")
        kind = content[at + 4 : at + 8]
        if at == len(SIGNATURE) and kind != b"IHDR":
            raise NotStorableError(Outcome.CORRUPT, "the PNG does not begin with its header")
        yield kind, at + 8, at + 8 + size
        at += 12 + size


def _unpacked(chunk: bytes) -> bytes:
    """Return a colour profile; nothing when it is damaged or unpacks to more than printers need."""
    packed = chunk.partition(b"\0")[2][1:]
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(packed, MOST_PROFILE)
    except zlib.error:
        return b""
    return profile if unpacking.eof else b""


def _with_grey_key(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], content: bytes
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Turn the grey that tRNS calls transparent to white; OpenCV knows only colours' keys."""
    if pixels.ndim == 3:
        return pixels
    found = _Chunks()
    for kind, start, end in _chunks(content):
        _note(found, kind, content, start, end)
        if kind == b"IDAT":
            break
    key = found.others.get(b"tRNS", b"")
    if found.colour == 0 and len(key) == 2:
        white = 65535 if found.depth == 16 else 255
        scale = white // ((1 << found.depth) - 1)
        pixels[pixels == int.from_bytes(key, "big") * scale] = white
    return pixels
