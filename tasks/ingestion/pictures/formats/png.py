"""PNG: its chunks (W3C PNG, third edition), of which only those that draw pixels are decoded.

Texts and profiles that unpack to gigabytes never reach the decoder, and of an animated PNG the
picture remains that viewers without animation show. The rows are unpacked here, as many as there
are: libpng would unpack a bomb behind them to its end, and Pillow takes missing ones for black.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.ingestion.fetching.fetched import storable
from tasks.ingestion.pictures.formats.metadata import MOST_PROFILE, other_profile, read_exif
from tasks.ingestion.pictures.header import MOST_FRAMES, Header, NotStorableError
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
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PALETTE = 3
# Left, top, and the steps between columns and rows, of each pass (section 8.1).
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
PIECE = 1 << 20  # bytes unpacked at once
MOST_REPACKED = 64 << 20  # bytes of rows that are held twice to unpack them once
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
END = b"\0\0\0\0IEND\xaeB`\x82"


@dataclass(slots=True)
class _Chunks:
    """What stands beside the pixels."""

    width: int = 0
    height: int = 0
    depth: int = 0
    colour: int = 0
    is_interlaced: bool = False
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
    if found.colour == PALETTE and b"PLTE" not in found.others:
        raise NotStorableError(Outcome.CORRUPT, "the PNG has no palette for its colours")
    mode = MODES[found.colour] + (";16" if found.depth == 16 else "")
    orientation, exif = read_exif(found.others.get(b"eXIf", b""))
    profile = _unpacked(found.others.get(b"iCCP", b""))
    # Grey and palette pictures carry profiles of colour, which apply once they are colours.
    icc = other_profile(profile, "L" if found.colour in (0, 4) else "RGB")
    is_bare = (
        found.is_clean
        and found.is_ended
        and b"tRNS" not in found.others
        and (b"iCCP" not in found.others or bool(profile))
    )
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
        raw_size=_raw_size(found),
        grey_key=_grey_key(found),
        is_plain=is_bare and mode == "RGB" and orientation == 1 and not icc,
    )


def drawn_png(content: bytes, header: Header) -> bytes:
    """Return a PNG of the chunks that draw pixels: whole, sound and of enough rows.

    Raises:
        NotStorableError: a chunk is damaged or cut, or rows are missing.
    """
    tables: list[bytes] = []
    packed: list[bytes] = []
    is_ended = False
    for kind, start, end in _chunks(content):
        is_ended = kind == b"IEND"
        if not is_ended and end + 4 > len(content):
            raise NotStorableError(Outcome.TRUNCATED, "the PNG ends too early")
        if kind in DRAWN and not _is_sound(content, start, end):
            said = f"a checksum of the PNG's {kind.decode()} does not hold"
            raise NotStorableError(Outcome.CORRUPT, said)
        if kind == b"IDAT":
            packed.append(content[start:end])
        elif kind in DRAWN:
            tables.append(content[start - 8 : end + 4])
        elif kind[:1].isupper() and not is_ended:
            said = storable(f"the PNG needs a chunk {kind!r} that nobody knows")
            raise NotStorableError(Outcome.CORRUPT, said)
    rows = _repacked(packed, header.raw_size, is_ended=is_ended)
    return b"".join([SIGNATURE, *tables, *_as_chunk(b"IDAT", rows), END])


def _repacked(packed: list[bytes], size: int, *, is_ended: bool) -> list[bytes]:
    """Return `size` bytes of rows as a stream that is not compressed, or as they came if many.

    Raises:
        NotStorableError: there are fewer rows, or more: no encoder means them, and a bomb does.
    """
    unpacking, storing = zlib.decompressobj(), zlib.compressobj(0)
    is_stored = size <= MOST_REPACKED
    stored: list[bytes] = []
    count = 0
    try:
        for part in packed:
            left = part
            while left and count <= size and not unpacking.eof:
                # One more than is missing: then the checksum behind the last row is read too.
                piece = unpacking.decompress(left, min(PIECE, size - count + 1))
                left = unpacking.unconsumed_tail
                if is_stored:
                    stored.append(storing.compress(piece))
                count += len(piece)
    except zlib.error as error:
        raise NotStorableError(Outcome.CORRUPT, "the PNG's rows are damaged") from error
    if count < size:
        outcome = Outcome.CORRUPT if is_ended else Outcome.TRUNCATED
        raise NotStorableError(outcome, "rows of the PNG are missing")
    if count > size:
        raise NotStorableError(Outcome.CORRUPT, "the PNG unpacks to more than its rows")
    return [*stored, storing.flush()] if is_stored else packed


def _as_chunk(kind: bytes, payload: list[bytes]) -> list[bytes]:
    crc = zlib.crc32(kind)
    for part in payload:
        crc = zlib.crc32(part, crc)
    size = sum(len(part) for part in payload)
    return [size.to_bytes(4, "big"), kind, *payload, crc.to_bytes(4, "big")]


def _grey_key(found: _Chunks) -> int | None:
    """Return the grey that is transparent, as it is once decoded: of 8 bits, or of 16."""
    key = found.others.get(b"tRNS", b"")
    if found.colour != 0 or len(key) != 2:
        return None
    scale = 1 if found.depth >= 8 else 255 // ((1 << found.depth) - 1)
    return int.from_bytes(key, "big") * scale


def _raw_size(found: _Chunks) -> int:
    """Return the bytes of all rows, each with its filter's number, interlaced or not."""
    bits = found.depth * CHANNELS[found.colour]
    passes = ADAM7 if found.is_interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, step_x, step_y in passes:
        width = -(-(found.width - left) // step_x)
        height = -(-(found.height - top) // step_y)
        if width > 0 and height > 0:
            total += height * (1 + (width * bits + 7) // 8)
    return total


def _note(found: _Chunks, kind: bytes, content: bytes, start: int, end: int) -> None:
    if kind == b"IHDR" and not found.depth:
        _note_size(found, content[start:end], is_cut=end > len(content))
    elif kind == b"acTL":
        found.frames = max(int.from_bytes(content[start : start + 4], "big"), 1)
        found.is_clean = False
    elif kind in (b"eXIf", b"iCCP", b"tRNS", b"PLTE"):
        found.others.setdefault(kind, content[start : min(end, start + MOST_PROFILE)])
    if kind not in (*DRAWN, b"IEND"):
        # Not every reader steps over a chunk whose checksum does not hold.
        found.is_clean &= kind in HARMLESS and _is_sound(content, start, end)


def _note_size(found: _Chunks, payload: bytes, *, is_cut: bool) -> None:
    if len(payload) != 13:
        outcome = Outcome.TRUNCATED if is_cut else Outcome.CORRUPT
        raise NotStorableError(outcome, "the PNG's header is damaged")
    found.width = int.from_bytes(payload[:4], "big")
    found.height = int.from_bytes(payload[4:8], "big")
    found.depth, found.colour, found.is_interlaced = payload[8], payload[9], payload[12] == 1
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


def _is_sound(content: bytes, start: int, end: int) -> bool:
    """Return whether the checksum behind a payload holds for it and the name before it."""
    checksum = int.from_bytes(content[end : end + 4], "big")
    return zlib.crc32(memoryview(content)[start - 4 : end]) == checksum


def _unpacked(chunk: bytes) -> bytes:
    """Return a colour profile; nothing when it is damaged or unpacks to more than printers need."""
    packed = chunk.partition(b"\0")[2][1:]
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(packed, MOST_PROFILE)
    except zlib.error:
        return b""
    return profile if unpacking.eof else b""
