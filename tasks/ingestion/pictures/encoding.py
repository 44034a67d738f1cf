"""Pixels -> a file: JPEG, PNG or WebP."""

import cv2
import simplejpeg

from tasks.ingestion.pictures.decoding import Pixels
from tasks.ingestion.pictures.header import NotStorableError
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome

# Format of a picture -> the ending of its name in a tar.
EXTENSIONS = {
    "jpeg": "jpg",
    "png": "png",
    "webp": "webp",
    "gif": "gif",
    "bmp": "bmp",
    "tiff": "tiff",
    "avif": "avif",
    "jpeg2000": "jp2",
}
# What the formats can say of a side; libjpeg stops short of 65,535.
LONGEST_SIDE = {"jpg": 65_500, "png": 1_000_000, "webp": 16_383}


def check_size(width: int, height: int, how: Ingestion) -> None:
    """Refuse a size that cannot be stored, before its pixels are made.

    Raises:
        NotStorableError: over `max_image_area`, as enlarging can be, or too long for the format.
    """
    if width * height > how.max_image_area:
        said = f"{width} x {height} after resizing is over {how.max_image_area:g} pixels"
        raise NotStorableError(Outcome.TOO_MANY_PIXELS, said)
    longest = LONGEST_SIDE[how.encode_format]
    if max(width, height) > longest:
        said = f"{width} x {height} after resizing; no {how.encode_format} is over {longest} long"
        raise NotStorableError(Outcome.TOO_MANY_PIXELS, said)


def encoded(pixels: Pixels, how: Ingestion) -> bytes:
    """Return uint8 (H, W, 3) RGB as a file of `encode_format`."""
    quality = how.encode_quality
    if how.encode_format == "jpg":
        # libjpeg takes 0 for 1; simplejpeg refuses it.
        return simplejpeg.encode_jpeg(
            pixels, quality=max(quality, 1), colorspace="RGB", colorsubsampling="420"
        )
    is_png = how.encode_format == "png"
    option = cv2.IMWRITE_PNG_COMPRESSION if is_png else cv2.IMWRITE_WEBP_QUALITY
    blue_first = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(f".{how.encode_format}", blue_first, [option, quality])[1].tobytes()
