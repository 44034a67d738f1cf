"""What a picture's first bytes say, before a pixel is decoded."""

import functools
import io
import itertools
import struct
import zlib
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from tasks.ingestion.fetched import storable
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome

# Pillow's own guard raises from inside a decode; ours reads the same header and gives an outcome.
Image.MAX_IMAGE_PIXELS = None

# Nothing else is even opened: Pillow's EPS starts another program, and its ICO decodes whatever
# size lies inside an icon on opening it, before any limit can be applied.
# MPO, a JPEG of several pictures, is opened by the JPEG reader.
DECODED = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000")
# What Pillow's plug-ins raise for damaged bytes.
PILLOW_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    OverflowError,
    LookupError,
    TypeError,
    AttributeError,
    struct.error,
    zlib.error,
)
EXIF_TAGS = 64
UNSUPPORTED_MAGIC = (
    (b"%!PS", "eps"),
    (b"8BPS", "psd"),
    (b"qoif", "qoi"),
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL ", "jxl"),
    (b"%PDF", "pdf"),
    (b"\x00\x00\x01\x00", "ico"),
    (b"\x1aE\xdf\xa3", "webm"),
)
MARKUP = (b"<!doctype html", b"<html", b"<head", b"<body", b"<?php", b"{", b"[")


@dataclass(frozen=True, slots=True)
class Header:
    """A picture as its header describes it.

    Attributes:
        format: such as "jpeg".
        mode: Pillow's, such as "RGB", "CMYK" or "I;16".
        width: stored pixels, before any turn.
        height: likewise.
        n_frames: 1 for a still picture.
        orientation: EXIF's, 1 to 8.
        icc: the colour profile, empty when there is none or it is sRGB.
        exif: the first 64 tags as text.
    """

    format: str
    mode: str
    width: int
    height: int
    n_frames: int
    orientation: int
    icc: bytes
    exif: dict[str, str]


class NotStorableError(Exception):
    """A picture that ends as an outcome instead of pixels."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message


def read_header(content: bytes) -> Header:
    """Describe a picture from its first bytes.

    Raises:
        NotStorableError: it is no picture, or of a kind that is not stored.
    """
    _refuse_other_kinds(content)
    try:
        with Image.open(io.BytesIO(content), formats=DECODED) as image:
            exif = _exif(image)
            return Header(
                format=str(image.format).lower(),
                mode=_stored_mode(image),
                width=image.width,
                height=image.height,
                n_frames=int(getattr(image, "n_frames", 1)),
                orientation=_orientation(exif),
                icc=_other_profile(image.info.get("icc_profile")),
                exif=_as_text(exif),
            )
    except UnidentifiedImageError as error:
        raise NotStorableError(Outcome.NOT_AN_IMAGE, "no known picture format") from error
    except PILLOW_ERRORS as error:
        said = storable(f"the header is damaged ({error})")
        raise NotStorableError(Outcome.CORRUPT, said) from error


def check_header(header: Header, how: Ingestion) -> None:
    """Apply the limits.

    Raises:
        NotStorableError: too many pixels, too small, too long, or of a kind that is not decoded.
    """
    width, height = header.width, header.height
    if width * height > how.max_pixels:
        raise NotStorableError(
            Outcome.TOO_MANY_PIXELS, f"{width} x {height} is over {how.max_pixels} pixels"
        )
    if min(width, height) < max(how.min_side, 1):
        raise NotStorableError(
            Outcome.TOO_SMALL, f"{width} x {height} has a side under {how.min_side}"
        )
    if max(width, height) > how.max_aspect_ratio * min(width, height):
        raise NotStorableError(
            Outcome.ASPECT_RATIO, f"{width} x {height} is over {how.max_aspect_ratio:g} to 1"
        )


def _exif(image: Image.Image) -> Image.Exif:
    # PNG's getexif() decodes the whole picture to look behind it, before any limit was checked.
    if image.format != "PNG":
        return image.getexif()
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    return exif


def _orientation(exif: Image.Exif) -> int:
    value = exif.get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _as_text(exif: Image.Exif) -> dict[str, str]:
    return {
        ExifTags.TAGS.get(tag, str(tag)): str(value)[:200]
        for tag, value in itertools.islice(exif.items(), EXIF_TAGS)
    }


def _other_profile(profile: object) -> bytes:
    """Return a colour profile unless it is sRGB's, which most are, or unreadable."""
    return profile if isinstance(profile, bytes) and not _is_srgb(profile) else b""


@functools.lru_cache(maxsize=64)
def _is_srgb(profile: bytes) -> bool:
    try:
        named = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return True  # viewers show a picture with a broken profile as if it had none
    return named.strip().lower().startswith(("srgb", "c2"))  # c2 is Facebook's compact sRGB


def _refuse_other_kinds(content: bytes) -> None:
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start and start.startswith((b"<?xml", b"<svg", b"<!doctype svg", b"<!--")):
        raise NotStorableError(Outcome.UNSUPPORTED_FORMAT, "svg is not decoded")
    if start.startswith(MARKUP):
        raise NotStorableError(Outcome.NOT_AN_IMAGE, "a text or page, not a picture")
    for magic, name in UNSUPPORTED_MAGIC:
        if content.startswith(magic):
            raise NotStorableError(Outcome.UNSUPPORTED_FORMAT, f"{name} is not decoded")
    if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"mif1", b"hevc"):
        raise NotStorableError(Outcome.UNSUPPORTED_FORMAT, "heic is not decoded")


def _stored_mode(image: Image.Image) -> str:
    """Return the mode as stored: Pillow opens a 16-bit RGB PNG as RGB and says so nowhere else."""
    raw = [tile[3] for tile in getattr(image, "tile", [])]
    for arguments in raw:
        name = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
        if isinstance(name, str) and ";16" in name:
            return name
    return image.mode
