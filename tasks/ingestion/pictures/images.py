"""Bytes -> a picture worth storing, or an outcome that says why not."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.ingestion.pictures.blurring import Box, blurred
from tasks.ingestion.pictures.decoding import Pixels, Raster, decode, in_srgb
from tasks.ingestion.pictures.encoding import EXTENSIONS, check_size, encoded
from tasks.ingestion.pictures.formats.jpeg import ends_with_its_picture
from tasks.ingestion.pictures.formats.reading import read_header
from tasks.ingestion.pictures.header import Header, NotStorableError, check_header
from tasks.ingestion.pictures.resizing import (
    SIDEWAYS,
    framed,
    is_resized,
    scaled,
    shrink_factor,
    stored_size,
    target_size,
    upright,
    upright_size,
)
from tasks.ingestion.pictures.signals import LONG_SIDE, image_signals
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome


@dataclass(frozen=True, slots=True)
class Picture:
    """What became of a body: the file to store when the outcome is KEPT, and the row's columns."""

    outcome: Outcome
    content: bytes
    message: str
    columns: dict[str, Any]
    extension: str = "jpg"


def stored_picture(content: bytes, how: Ingestion, boxes: Sequence[Box] = ()) -> Picture:
    """Check, decode, resize and encode a picture; the original bytes stay when nothing changes.

    Args:
        content: its bytes.
        how: limits and sizes.
        boxes: parts that are blurred; never is a picture stored without that.
    """
    columns: dict[str, Any] = {}
    try:
        header = read_header(content)
        columns |= _described(header, how)
        check_header(header, how)
        if not boxes and _is_stored_as_it_came(content, header, how):
            kept, extension = content, EXTENSIONS[header.format]
            size, pixels = upright_size(header), _looked_at(content, header)
        else:
            kept, pixels = _made(content, header, how, boxes)
            size, extension = (pixels.shape[1], pixels.shape[0]), how.encode_format
    except NotStorableError as refused:
        return Picture(refused.outcome, b"", refused.message, columns)
    columns |= {"width": size[0], "height": size[1], **image_signals(pixels)}
    return Picture(Outcome.KEPT, kept, "", columns, extension)


def _is_stored_as_it_came(content: bytes, header: Header, how: Ingestion) -> bool:
    if how.disable_all_reencoding:
        return True
    is_same_format = EXTENSIONS[header.format] == how.encode_format
    if not (how.skip_reencode and header.is_plain and is_same_format):
        return False
    size = upright_size(header)
    if not target_size(*size, how) == size == stored_size(*size, how):
        return False
    return header.format != "jpeg" or ends_with_its_picture(content, header)


def _made(
    content: bytes, header: Header, how: Ingestion, boxes: Sequence[Box]
) -> tuple[bytes, Pixels]:
    """Return the file that is stored, and its pixels."""
    size = upright_size(header)
    target = target_size(*size, how)
    check_size(*target, how)
    raster = decode(content, header, shrink_factor(header, target, how.decode_mode))
    pixels = _upright(raster, header, target, how, boxes)
    if is_resized(*size, how):
        pixels = framed(pixels, how)
    return encoded(pixels, how), pixels


def _looked_at(content: bytes, header: Header) -> Pixels:
    """Decode a picture whose bytes stay: strictly, at the size that its signals need."""
    seen = min(LONG_SIDE / max(header.width, header.height), 1.0)
    width, height = (max(round(side * seen), 1) for side in upright_size(header))
    raster = decode(content, header, shrink_factor(header, (width, height), "fast"))
    return upright(in_srgb(raster, header.icc), header.orientation)


def _upright(
    raster: Raster,
    header: Header,
    target: tuple[int, int],
    how: Ingestion,
    boxes: Sequence[Box],
) -> Pixels:
    """Scale before turning and converting: then there are the fewest pixels."""
    width, height = target[::-1] if header.orientation in SIDEWAYS else target
    small = Raster(scaled(raster.pixels, width, height, how), raster.space)
    pixels = in_srgb(small, header.icc)
    return upright(blurred(pixels, boxes) if boxes else pixels, header.orientation)


def _described(header: Header, how: Ingestion) -> dict[str, Any]:
    return {
        "format": header.format,
        "mode": header.mode,
        "n_frames": header.n_frames,
        "exif": json.dumps(header.exif, sort_keys=True) if how.extract_exif else None,
        "original_width": header.width,
        "original_height": header.height,
    }
