"""Bytes -> pixels of 8 bits with alpha on white, of the size that is needed or above it.

JPEGs that will be shrunk are decoded at a power-of-two scale inside the inverse DCT, which costs a
third of a full decode. Colours are converted last (`in_srgb`), when the fewest pixels are left.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tasks.ingestion.pictures.formats.jpeg import decode_jpeg
from tasks.ingestion.pictures.formats.metadata import to_srgb
from tasks.ingestion.pictures.formats.opencv import decode_with_opencv, decodes
from tasks.ingestion.pictures.formats.pillow import decode_with_pillow
from tasks.ingestion.pictures.header import Header

Pixels = NDArray[np.uint8]
Space = Literal["L", "RGB", "BGR", "CMYK"]
WHITE = 255


@dataclass(frozen=True, slots=True)
class Raster:
    """Decoded pixels: uint8 (H, W) grey or (H, W, C); CMYK with 255 for full ink."""

    pixels: Pixels
    space: Space


def decode(content: bytes, header: Header, factor: int = 1) -> Raster:
    """Return the first frame as stored, not yet upright.

    Args:
        content: the picture's bytes.
        header: what `read_header` said of them.
        factor: 1, 2, 4 or 8; a JPEG is decoded at that part of its size, rounded up.

    Raises:
        NotStorableError: the bytes end too early or are damaged.
    """
    if header.format == "jpeg":
        pixels = decode_jpeg(content, header, factor)
        if header.mode == "L":
            return Raster(pixels.reshape(pixels.shape[:2]), "L")
        # A JPEG of four inks stores how much paper is left: Adobe's way, and every viewer's.
        return Raster(~pixels, "CMYK") if header.mode == "CMYK" else Raster(pixels, "RGB")
    is_bgr = decodes(header, content)
    decoder = decode_with_opencv if is_bgr else decode_with_pillow
    pixels = decoder(content, header)
    if pixels.ndim == 2:
        return Raster(pixels, "L")
    if header.mode.startswith("CMYK"):
        return Raster(pixels, "CMYK")
    flat = on_white(pixels)
    if header.mode.startswith("LA"):  # whose three channels are alike
        return Raster(flat[:, :, 0], "L")
    return Raster(flat, "BGR" if is_bgr else "RGB")


def in_srgb(raster: Raster, icc: bytes) -> Pixels:
    """Return uint8 (H, W, 3) RGB in sRGB; `icc` is the profile of other colours."""
    pixels = raster.pixels
    if raster.space == "BGR":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    mode = "RGB" if raster.space == "BGR" else raster.space
    transform = to_srgb(icc, mode) if icc else None
    if transform is not None:
        converted = ImageCms.applyTransform(_image(pixels, mode), transform)
        return np.asarray(converted)
    if mode == "CMYK":
        return np.asarray(_image(pixels, mode).convert("RGB"))
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)) if mode == "L" else pixels


def on_white(pixels: Pixels) -> Pixels:
    """Return uint8 (H, W, 3) of three or four channels, colour x alpha + white x (1 - alpha)."""
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[:, :, 3]
    colour = cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR)
    if cv2.minMaxLoc(alpha)[0] == WHITE:
        return np.asarray(colour, dtype=np.uint8)
    each = cv2.cvtColor(alpha, cv2.COLOR_GRAY2BGR)
    return np.asarray(cv2.multiply(colour, each, scale=1 / WHITE) + (WHITE - each), dtype=np.uint8)


def _image(pixels: Pixels, mode: str) -> Image.Image:
    height, width = pixels.shape[:2]
    return Image.frombuffer(mode, (width, height), np.ascontiguousarray(pixels), "raw", mode, 0, 1)
