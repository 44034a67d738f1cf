"""JPEG: what stands before the first scan, and a strict decode at a power-of-two scale.

Markers as in ITU-T T.81, table B.1. A JPEG has no checksum. What shows is a scan that gives other
than the promised number of blocks: a lost sector always does, but the codes fall into step again
behind a few flipped bits, and 47 of 60 flipped bytes cannot be told from another picture.
"""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from tasks.ingestion.fetching.fetched import storable
from tasks.ingestion.pictures.formats.metadata import EXIF_ERRORS, other_profile, read_exif
from tasks.ingestion.pictures.header import MOST_FRAMES, Header, NotStorableError
from tasks.rows import Outcome

EOI = b"\xff\xd9"
SOS = b"\xff\xda"
# A scan costs little to send and a pass over the picture to decode; encoders write about ten.
MOST_SCANS = 100
MODES = {1: "L", 4: "CMYK"}  # by the number of components
HUFFMAN_8_BIT = (0xC0, 0xC1, 0xC2)  # what every viewer shows
ARITHMETIC = (0xC9, 0xCA)  # what libjpeg-turbo decodes besides
UNSUPPORTED = {0xC3: "lossless", 0xCB: "lossless arithmetic"}
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
NOTED = FRAME_MARKERS | {0xDA, 0xE1, 0xE2}
# Tables, frames, the restart interval, and what tells the colour space: JFIF's and Adobe's segment.
DRAWN = FRAME_MARKERS | {0xC4, 0xCC, 0xDB, 0xDD, 0xE0, 0xEE}
NUMBER_OF_IMAGES = 0xB001  # tag of a multi-picture file, CIPA DC-007


@dataclass(slots=True)
class _Segments:
    """What the segments before the first scan say."""

    frame: int = 0
    bits: int = 8
    width: int = 0
    height: int = 0
    components: tuple[int, ...] = ()
    exif: bytes = b""
    icc: dict[int, bytes] = field(default_factory=dict)
    pictures: bytes = b""
    data_offset: int = 0


def read_jpeg(content: bytes) -> Header:
    """Describe a JPEG.

    Raises:
        NotStorableError: truncated or damaged before the first scan, or of a rare kind.
    """
    found = _segments(content)
    if not found.frame:
        raise NotStorableError(Outcome.CORRUPT, "the JPEG's scans have no frame")
    if found.bits != 8 or found.frame not in (*HUFFMAN_8_BIT, *ARITHMETIC):
        kind = UNSUPPORTED.get(found.frame, "hierarchical")
        name = f"{found.bits}-bit jpeg" if found.bits != 8 else f"{kind} jpeg"
        raise NotStorableError(Outcome.UNSUPPORTED_FORMAT, f"{name} is not decoded")
    mode = MODES.get(len(found.components), "RGB")
    orientation, exif = read_exif(found.exif)
    icc = other_profile(b"".join(found.icc[part] for part in sorted(found.icc)), mode)
    is_plain = mode == "RGB" and orientation == 1 and not icc and found.frame in HUFFMAN_8_BIT
    return Header(
        format="jpeg",
        mode=mode,
        width=found.width,
        height=found.height,
        n_frames=_pictures(found.pictures),
        orientation=orientation,
        icc=icc,
        exif=exif,
        is_plain=is_plain,
        components=found.components,
        data_offset=found.data_offset,
    )


def decode_jpeg(content: bytes, header: Header, factor: int) -> NDArray[np.uint8]:
    """Return uint8 (H, W, C) in RGB, grey or CMYK as stored, at 1/factor of the size.

    Raises:
        NotStorableError: the bytes end too early or are damaged.
    """
    wanted = {
        "colorspace": {"L": "GRAY", "CMYK": "CMYK"}.get(header.mode, "RGB"),
        "min_width": -(-header.width // factor),
        "min_height": -(-header.height // factor),
        "min_factor": factor,
        "strict": True,
    }
    _check_scans(content, header)
    try:
        return simplejpeg.decode_jpeg(content, **wanted)
    except ValueError as error:
        # Damaged metadata, padding and a missing end mark cost no pixel; damaged scans do.
        for mended in _mended(content, header):
            with contextlib.suppress(ValueError):
                return simplejpeg.decode_jpeg(mended, **wanted)
        has_end = EOI in content[header.data_offset :]
        outcome = Outcome.CORRUPT if has_end else Outcome.TRUNCATED
        said = storable(f"the JPEG is damaged or ends too early ({error})")
        raise NotStorableError(outcome, said) from error


def _mended(content: bytes, header: Header) -> Iterator[bytes]:
    """Yield what a JPEG may have been meant to be: without metadata, and without padding."""
    bare = _bare(content, header)
    end = bare.find(EOI, len(bare) - (len(content) - header.data_offset))
    yield bare if end >= 0 else bare + EOI
    scans = bare[:end] if end >= 0 else bare
    if scans.endswith(bytes(3)):  # some cameras fill sectors up; zeros for lost blocks are missed
        yield scans.rstrip(b"\0") + EOI


def _bare(content: bytes, header: Header) -> bytes:
    """Return a JPEG without what describes it: the tables, the frame and the scans."""
    kept = [
        content[start - 4 : end]
        for marker, start, end in _marked(content[: header.data_offset])
        if marker in DRAWN
    ]
    return b"".join([content[:2], *kept, content[header.data_offset :]])


def ends_with_its_picture(content: bytes, header: Header) -> bool:
    """Return whether nothing is hidden behind the JPEG.

    The first end mark after the scans begin is the end: in their data FF is escaped.
    """
    return content.find(EOI, header.data_offset) == len(content) - 2


def _segments(content: bytes) -> _Segments:
    found = _Segments()
    for marker, start, end in _marked(content):
        if marker not in NOTED:
            continue
        payload = content[start:end]
        if marker in FRAME_MARKERS and len(payload) > 5:
            found.frame, found.bits = marker, payload[0]
            found.height, found.width = (
                int.from_bytes(payload[at : at + 2], "big") for at in (1, 3)
            )
            found.components = tuple(payload[6::3])
        elif marker == 0xE1 and payload.startswith(b"Exif\0\0"):
            # Long EXIF is split; its parts repeat the name.
            found.exif += payload[6:] if found.exif else payload
        elif marker == 0xE2 and payload.startswith(b"ICC_PROFILE\0") and len(payload) > 14:
            found.icc[payload[12]] = payload[14:]
        elif marker == 0xE2 and payload.startswith(b"MPF\0"):
            found.pictures = payload[4:]
        elif marker == 0xDA:
            found.data_offset = start - 4
            return found
    raise NotStorableError(Outcome.TRUNCATED, "the JPEG ends before its first scan")


def _marked(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each segment's marker, and where its payload starts and ends."""
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:  # bytes between segments, which decoders step over
            at = content.find(b"\xff", at)
            if at < 0:
                return
            continue
        marker = content[at + 1]
        if marker == 0xFF:  # fill
            at += 1
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # without payload
            at += 2
        else:
            size = int.from_bytes(content[at + 2 : at + 4], "big")
            if marker == 0xD9 or size < 2:
                raise NotStorableError(Outcome.CORRUPT, "the JPEG's segments are damaged")
            yield marker, at + 4, at + 2 + size
            at += 2 + size


def _pictures(payload: bytes) -> int:
    """Return how many pictures a multi-picture file holds; the first is the one that is shown."""
    if not payload:
        return 1
    index = Image.Exif()
    try:
        index.load(b"Exif\0\0" + payload)
        count = index.get(NUMBER_OF_IMAGES, 1)
    except EXIF_ERRORS:
        return 1
    return min(max(count, 1), MOST_FRAMES) if isinstance(count, int) else 1


def _check_scans(content: bytes, header: Header) -> None:
    """Refuse a JPEG whose scans leave coefficients out: a decoder shows it grey or blurred.

    Each component must have each of its 64 coefficients to the last bit (T.81, G.1.1.1).
    """
    whole: dict[int, set[int]] = {}
    at = header.data_offset
    _note_scan(content[at + 4 : at + 18], whole)
    if _is_covered(whole, header):
        return  # one scan for all, the only one that is decoded
    if content.count(SOS, at) > MOST_SCANS:
        raise NotStorableError(Outcome.CORRUPT, f"a JPEG of more than {MOST_SCANS} scans")
    while not _is_covered(whole, header):
        at = content.find(SOS, at + 2)
        if at < 0:
            raise NotStorableError(Outcome.TRUNCATED, "the JPEG's last scans are missing")
        _note_scan(content[at + 4 : at + 18], whole)


def _is_covered(whole: dict[int, set[int]], header: Header) -> bool:
    return all(len(whole.get(component, ())) == 64 for component in header.components)


def _note_scan(segment: bytes, whole: dict[int, set[int]]) -> None:
    """Add the coefficients that a scan brings to their last bit."""
    count = segment[0] if segment else 0
    spectral = segment[1 + 2 * count : 4 + 2 * count]
    if len(spectral) == 3 and spectral[2] & 15 == 0:
        for component in segment[1 : 1 + 2 * count : 2]:
            whole.setdefault(component, set()).update(_coefficients(spectral[0], spectral[1]))


@functools.cache
def _coefficients(first: int, last: int) -> frozenset[int]:
    return frozenset(range(first, min(last, 63) + 1))
