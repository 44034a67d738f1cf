"""What a picture's first bytes say, before a pixel is decoded."""

import io
from dataclasses import dataclass

from PIL import ExifTags, Image, UnidentifiedImageError

from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome

# Pillow's own guard raises from inside a decode; ours reads the same header and gives an outcome.
Image.MAX_IMAGE_PIXELS = None

DECODED = frozenset({"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "ICO", "MPO"})
UNSUPPORTED_MAGIC = (
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL ", "jxl"),
    (b"%PDF", "pdf"),
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
        has_icc: a colour profile is embedded.
        exif: the common tags as text.
    """

    format: str
    mode: str
    width: int
    height: int
    n_frames: int
    orientation: int
    has_icc: bool
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
        with Image.open(io.BytesIO(content)) as image:
            exif = _exif(image)
            return Header(
                format=str(image.format).lower(),
                mode=_stored_mode(image),
                width=image.width,
                height=image.height,
                n_frames=int(getattr(image, "n_frames", 1)),
                orientation=int(exif.get(ExifTags.Base.Orientation, 1) or 1),
                has_icc=bool(image.info.get("icc_profile")),
                exif={ExifTags.TAGS.get(tag, str(tag)): str(v)[:200] for tag, v in exif.items()},
            )
    except UnidentifiedImageError as error:
        raise NotStorableError(Outcome.NOT_AN_IMAGE, "no known picture format") from error
    # Pillow's plug-ins raise all of these for damaged headers.
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError, KeyError, IndexError) as e:
        raise NotStorableError(Outcome.CORRUPT, f"the header is damaged ({e})"[:200]) from e


def check_header(header: Header, how: Ingestion) -> None:
    """Apply the limits.

    Raises:
        NotStorableError: too many pixels, too small, too long, or of a kind that is not decoded.
    """
    width, height = header.width, header.height
    if header.format.upper() not in DECODED:
        raise NotStorableError(Outcome.UNSUPPORTED_FORMAT, f"{header.format} is not decoded")
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
