"""EXIF and colour profiles: what a picture says of itself beside its pixels."""

import functools
import io
import itertools
import struct
import warnings
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms

EXIF_TAGS = 64
MOST_EXIF = 256 << 10  # bytes read; a tag may point at any of them, as often as it likes
MOST_PROFILE = 4 << 20  # bytes; printers' tables take 3 MB, more is a bomb
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
# How far a profile may move one of 64 colours, of 255, and still be called sRGB.
SRGB_TOLERANCE = 2
PROFILE_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
# What Pillow raises for EXIF that is damaged.
EXIF_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    struct.error,
)


def read_exif(payload: bytes) -> tuple[int, dict[str, str]]:
    """Return the orientation, 1 to 8, and the first tags as text; damage costs only these.

    Args:
        payload: a TIFF structure, with or without "Exif" before it.
    """
    if not payload:
        return 1, {}
    if not payload.startswith(b"Exif\0\0"):
        payload = b"Exif\0\0" + payload
    exif = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow says on stderr what damage it skips
            exif.load(payload[:MOST_EXIF])
            return orientation_of(exif), as_text(exif)
    except EXIF_ERRORS:
        return 1, {}


def orientation_of(exif: Image.Exif) -> int:
    """Return how to turn the picture; what no viewer knows is upright."""
    value = exif.get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def as_text(exif: Image.Exif) -> dict[str, str]:
    """Return the first tags by name."""
    return {
        ExifTags.TAGS.get(tag, str(tag)): str(_start(value))[:200]
        for tag, value in itertools.islice(exif.items(), EXIF_TAGS)
    }


def _start(value: Any) -> Any:
    return value[:200] if isinstance(value, (bytes, str, tuple)) else value


def other_profile(profile: bytes, mode: str) -> bytes:
    """Return a colour profile, or nothing when it leaves the colours as they are or cannot apply.

    Viewers show a picture whose profile is broken or of another kind as if it had none.
    """
    if not profile or len(profile) > MOST_PROFILE or PROFILE_MODES.get(profile[16:20]) != mode:
        return b""
    return profile if _moves_colours(profile, mode) else b""


@functools.lru_cache(maxsize=64)
def _moves_colours(profile: bytes, mode: str) -> bool:
    """True when sixty-four colours, or greys, become others; false for a broken profile."""
    if mode == "CMYK":
        return to_srgb(profile, mode) is not None
    levels = np.array([0, 85, 170, 255], np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(8, 8, 3)
    if mode == "L":
        colours = np.repeat(np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8, 1), 3, axis=2)
    patches = Image.fromarray(colours if mode == "RGB" else colours[:, :, 0].copy())
    transform = to_srgb(profile, mode)
    if transform is None:
        return False
    moved = np.asarray(ImageCms.applyTransform(patches, transform)).astype(int)
    return bool(np.abs(moved - colours).max() > SRGB_TOLERANCE)


@functools.lru_cache(maxsize=16)
def to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what turns pixels of a mode into sRGB; None when the profile is broken."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(source, SRGB, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
