"""WebP: its chunks (RFC 9649)."""

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.ingestion.pictures.formats.metadata import MOST_PROFILE, other_profile, read_exif
from tasks.ingestion.pictures.header import MOST_FRAMES, Header, NotStorableError
from tasks.rows import Outcome

HARMLESS = (b"VP8 ", b"VP8L", b"VP8X", b"ICCP", b"EXIF", b"XMP ")
KEY_FRAME_START = b"\x9d\x01\x2a"


@dataclass(slots=True)
class _Chunks:
    """What the chunks say."""

    width: int = 0
    height: int = 0
    has_alpha: bool = False
    is_animated: bool = False
    frames: int = 0
    icc: bytes = b""
    exif: bytes = b""
    is_clean: bool = True


def read_webp(content: bytes) -> Header:
    """Describe a WebP.

    Raises:
        NotStorableError: shorter than it says it is, or damaged.
    """
    size = 8 + int.from_bytes(content[4:8], "little")
    if len(content) < size:
        said = f"the WebP says {size} bytes and has {len(content)}"
        raise NotStorableError(Outcome.TRUNCATED, said)
    found = _Chunks()
    for kind, payload in _chunks(content[:size]):
        _note(found, kind, payload)
        if found.frames == MOST_FRAMES:
            break
    if not found.width or not found.frames:
        raise NotStorableError(Outcome.CORRUPT, "the WebP has no picture in it")
    orientation, exif = read_exif(found.exif)
    icc = other_profile(found.icc, "RGB")
    is_bare = found.is_clean and size == len(content) and not found.has_alpha
    return Header(
        format="webp",
        mode="RGBA" if found.has_alpha else "RGB",
        width=found.width,
        height=found.height,
        n_frames=found.frames,
        is_animated=found.is_animated,
        orientation=orientation,
        icc=icc,
        exif=exif,
        is_plain=is_bare and not found.is_animated and orientation == 1 and not icc,
    )


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each chunk's name and payload, of long ones the start."""
    at = 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        yield content[at : at + 4], content[at + 8 : at + 8 + min(size, MOST_PROFILE)]
        at += 8 + size + size % 2


def _note(found: _Chunks, kind: bytes, payload: bytes) -> None:
    if kind == b"VP8X" and len(payload) >= 10 and not found.width:
        found.is_animated, found.has_alpha = bool(payload[0] & 2), bool(payload[0] & 16)
        found.width, found.height = _number(payload, 4, 3) + 1, _number(payload, 7, 3) + 1
    elif kind in (b"VP8 ", b"VP8L") and not found.is_animated:
        found.frames = 1
        if not found.width:
            _note_size(found, kind, payload)
    elif kind == b"ANMF":
        found.frames += 1
    elif kind == b"ICCP":
        found.icc = payload
    elif kind == b"EXIF":
        found.exif = payload
    found.is_clean &= kind in HARMLESS


def _note_size(found: _Chunks, kind: bytes, payload: bytes) -> None:
    """Take the size from the picture itself: 14 bits a side."""
    if kind == b"VP8 " and payload[3:6] == KEY_FRAME_START:
        found.width, found.height = (_number(payload, at, 2) & 0x3FFF for at in (6, 8))
    elif kind == b"VP8L" and payload[:1] == b"\x2f":
        packed = _number(payload, 1, 4)
        found.width, found.height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        found.has_alpha = bool(packed >> 28 & 1)


def _number(payload: bytes, at: int, size: int) -> int:
    return int.from_bytes(payload[at : at + size], "little")
