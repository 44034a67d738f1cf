"""Bytes -> a picture worth storing, or an outcome that says why not."""

import json
from dataclasses import dataclass
from typing import Any

import simplejpeg

from tasks.ingestion.decoding import decode
from tasks.ingestion.header import Header, NotStorableError, check_header, read_header
from tasks.ingestion.resizing import resized, target_size
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.signals import image_signals
from tasks.rows import Outcome

SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class Picture:
    """What became of a body: JPEG bytes when the outcome is KEPT, and the row's columns."""

    outcome: Outcome
    jpeg: bytes
    message: str
    columns: dict[str, Any]


def stored_picture(content: bytes, how: Ingestion) -> Picture:
    """Check, decode, resize and encode a picture; the original bytes stay when nothing changes."""
    columns: dict[str, Any] = {}
    try:
        header = read_header(content)
        columns |= _described(header)
        check_header(header, how)
        jpeg, pixels = _encoded(content, header, how)
    except NotStorableError as refused:
        return Picture(refused.outcome, b"", refused.message, columns)
    columns |= {"width": pixels.shape[1], "height": pixels.shape[0], **image_signals(pixels)}
    return Picture(Outcome.KEPT, jpeg, "", columns)


def _encoded(content: bytes, header: Header, how: Ingestion) -> tuple[bytes, Any]:
    sideways = header.orientation in SIDEWAYS
    upright = (header.height, header.width) if sideways else (header.width, header.height)
    size = target_size(*upright, how)
    needed = size[::-1] if sideways else size
    pixels = resized(decode(content, header, needed), size, how)
    if _is_as_stored(content, header) and pixels.shape[:2] == (header.height, header.width):
        return content, pixels
    jpeg = simplejpeg.encode_jpeg(
        pixels, quality=how.jpeg_quality, colorspace="RGB", colorsubsampling="420"
    )
    return jpeg, pixels


def _is_as_stored(content: bytes, header: Header) -> bool:
    """True for an upright three-channel JPEG in sRGB, whole to its end mark."""
    return (
        header.format == "jpeg"
        and header.mode == "RGB"
        and header.orientation == 1
        and not header.icc
        and content.endswith(b"\xff\xd9")
    )


def _described(header: Header) -> dict[str, Any]:
    return {
        "format": header.format,
        "mode": header.mode,
        "n_frames": header.n_frames,
        "exif": json.dumps(header.exif, sort_keys=True),
        "original_width": header.width,
        "original_height": header.height,
    }
