"""The rarer formats, through Pillow: GIF, animated WebP, BMP, TIFF, JPEG 2000, AVIF's header."""

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tasks.ingestion.fetching.fetched import storable
from tasks.ingestion.pictures.formats.boxes import check_av1_size, is_cut
from tasks.ingestion.pictures.formats.gif import first_frame_box
from tasks.ingestion.pictures.formats.metadata import as_text, orientation_of, other_profile
from tasks.ingestion.pictures.formats.tiff import tiff_is_cut, tiff_pages
from tasks.ingestion.pictures.header import MOST_FRAMES, Header, NotStorableError
from tasks.rows import Outcome

# Pillow's own guard raises from inside a decode; ours reads the same header and gives an outcome.
Image.MAX_IMAGE_PIXELS = None

# Nothing else is even opened: Pillow's EPS starts another program, and its ICO decodes whatever
# size lies inside an icon on opening it, before any limit can be applied.
OPENED = {
    "gif": "GIF",
    "webp": "WEBP",
    "bmp": "BMP",
    "tiff": "TIFF",
    "avif": "AVIF",
    "jpeg2000": "JPEG2000",
}
# What Pillow's plug-ins raise for damaged bytes.
ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    SyntaxError,
    EOFError,
    OverflowError,
    LookupError,
    TypeError,
    AttributeError,
    MemoryError,
    struct.error,
    zlib.error,
)
UNSUPPORTED_MODES = ("I", "F", "LAB")  # no header gives the range of the first two
JPEG_IN_TIFF = ("jpeg", "tiff_jpeg")  # libtiff paints over damage in it
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # TIFF 6.0, which Pillow heeds up to 8 bits
WHITE = 255


def read_with_pillow(content: bytes, kind: str) -> Header:
    """Describe a picture of one of the formats in `OPENED`.

    Raises:
        NotStorableError: its header is damaged, or it holds what is not decoded.
    """
    if kind == "avif":
        check_av1_size(content)
    with _opened(content, kind) as image:
        exif = image.getexif()
        mode = _stored_mode(image)
        _refuse_rare(image, kind, mode)
        frames = 1 if kind == "tiff" else int(getattr(image, "n_frames", 1))
        profile = image.info.get("icc_profile") or b""
        return Header(
            format=kind,
            mode=mode,
            width=image.width,
            height=image.height,
            n_frames=tiff_pages(content) if kind == "tiff" else min(frames, MOST_FRAMES),
            is_animated=frames > 1,
            orientation=1 if kind == "tiff" else orientation_of(exif),  # Pillow turns TIFF itself
            icc=other_profile(profile, _colour_mode(image.mode)),
            exif=as_text(exif),
        )


def decode_with_pillow(content: bytes, header: Header) -> NDArray[np.uint8]:
    """Return uint8 of the first frame: (H, W) grey, or (H, W, C) RGB, RGBA or CMYK of full ink 255.

    Raises:
        NotStorableError: the bytes end too early or are damaged.
    """
    with _opened(content, header.format) as image:
        image.load()
        if image.size != (header.width, header.height):
            raise ValueError(f"{image.width} x {image.height} pixels, not as its header says")
        pixels = _eight_bits(image)
    if header.format != "gif":
        return pixels
    # Pillow fills what the first frame leaves out with a colour of the palette; viewers do not.
    left, top, width, height = first_frame_box(content)
    drawn = np.s_[top : top + height, left : left + width]
    canvas = np.full_like(pixels, WHITE)
    canvas[drawn] = pixels[drawn]
    return canvas


@contextmanager
def _opened(content: bytes, kind: str) -> Iterator[Image.Image]:
    """Open a picture; what Pillow raises within becomes an outcome, what it warns of is dropped."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=(OPENED[kind],)) as image:
                yield image
    except ERRORS as error:
        outcome = Outcome.TRUNCATED if _is_short(content, kind, error) else Outcome.CORRUPT
        # Of a header that it cannot read, Pillow says only where the bytes lie in memory.
        why = "its header" if isinstance(error, UnidentifiedImageError) else str(error)
        said = storable(f"the {kind} cannot be decoded ({why})")
        raise NotStorableError(outcome, said) from error


def _is_short(content: bytes, kind: str, error: Exception) -> bool:
    """Tell an early end from damage, which Pillow does not: by what the file says of its end."""
    checks: dict[str, Callable[[], bool]] = {
        "gif": lambda: not content.rstrip(b"\0").endswith(b"\x3b"),
        "bmp": lambda: len(content) < int.from_bytes(content[2:6], "little"),
        "jpeg2000": lambda: b"\xff\xd9" not in content[-16:],
        "avif": lambda: is_cut(content),
        "tiff": lambda: tiff_is_cut(content),
    }
    return isinstance(error, EOFError) or (kind in checks and checks[kind]())


def _colour_mode(mode: str) -> str:
    """Return the mode in which a profile meets the pixels: after palette and alpha are gone."""
    return mode if mode in ("L", "CMYK") else "RGB"


def _stored_mode(image: Image.Image) -> str:
    """Return the mode as stored: Pillow opens 16-bit RGB as RGB and says so nowhere else."""
    for tile in getattr(image, "tile", []):
        arguments = tile[3]
        name = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
        if isinstance(name, str) and ";16" in name:
            return name
    return image.mode


def _refuse_rare(image: Image.Image, kind: str, mode: str) -> None:
    if image.mode in UNSUPPORTED_MODES:
        said = f"{kind} of mode {mode} is not decoded"
        raise NotStorableError(Outcome.UNSUPPORTED_FORMAT, said)
    if image.info.get("compression") in JPEG_IN_TIFF:
        raise NotStorableError(Outcome.UNSUPPORTED_FORMAT, "jpeg in tiff is not decoded")


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Return pixels in one of four modes: L, RGB, RGBA or CMYK."""
    if image.mode.startswith("I;16"):
        pixels = np.asarray(cv2.convertScaleAbs(np.asarray(image), alpha=1 / 257), dtype=np.uint8)
        is_inverted = getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO
        return ~pixels if is_inverted else pixels
    if image.mode == "RGBa":  # colours that are already multiplied by their alpha
        mixed = np.asarray(image).astype(np.uint16)
        return np.minimum(mixed[:, :, :3] + (WHITE - mixed[:, :, 3:]), WHITE).astype(np.uint8)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    if image.mode in ("L", "RGB", "CMYK"):
        return np.asarray(image)
    return np.asarray(image.convert("L" if image.mode == "1" else "RGB"))
