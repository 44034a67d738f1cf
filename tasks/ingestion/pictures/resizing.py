"""img2dataset's resize modes: the same sizes, and in decode mode `area` the same pixels.

Modes `fast` and `hq` halve exactly and end with one bilinear step of less than two, which does not
alias. Both are SIMD; area interpolation at an odd ratio costs ten times as much.
"""

import cv2
import numpy as np

from tasks.ingestion.pictures.decoding import Pixels
from tasks.ingestion.pictures.header import Header
from tasks.ingestion.settings import Ingestion

WHITE = (255, 255, 255)
# EXIF orientations whose rows are the picture's columns.
SIDEWAYS = (5, 6, 7, 8)
INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "bilinear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
    "lanczos4": cv2.INTER_LANCZOS4,
}
# EXIF orientation -> what to do with rows and columns (EXIF 2.32, section 4.6.4).
TURNS = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p.swapaxes(0, 1)[:, ::-1],
    7: lambda p: p.swapaxes(0, 1)[::-1, ::-1],
    8: lambda p: p.swapaxes(0, 1)[::-1],
}


def upright_size(header: Header) -> tuple[int, int]:
    """Return width and height as a viewer shows them."""
    size = (header.width, header.height)
    return size[::-1] if header.orientation in SIDEWAYS else size


def is_resized(width: int, height: int, how: Ingestion) -> bool:
    """Return whether the mode touches an upright picture of this size at all."""
    return how.resize_mode != "no" and (
        not how.resize_only_if_bigger or _fixed_side(width, height, how) > how.image_size
    )


def target_size(width: int, height: int, how: Ingestion) -> tuple[int, int]:
    """Return the size an upright picture is scaled to, before any crop or border."""
    if not is_resized(width, height, how):
        return width, height
    if how.resize_mode == "fixed":
        return how.image_size, how.image_size
    scale = how.image_size / _fixed_side(width, height, how)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def stored_size(width: int, height: int, how: Ingestion) -> tuple[int, int]:
    """Return the size an upright picture is stored in."""
    if is_resized(width, height, how) and how.resize_mode in ("center_crop", "border"):
        return how.image_size, how.image_size
    return target_size(width, height, how)


def shrink_factor(header: Header, target: tuple[int, int], mode: str) -> int:
    """Return the part, of 8, 4, 2 and 1, at which a JPEG is decoded for an upright target size.

    `fast` leaves at least the target's pixels, `hq` at least twice as many a side, `area` all.
    """
    if mode == "area":
        return 1
    width, height = upright_size(header)
    ratio = min(width / target[0], height / target[1]) / (2 if mode == "hq" else 1)
    return next((factor for factor in (8, 4, 2) if ratio >= factor), 1)


def scaled(pixels: Pixels, width: int, height: int, how: Ingestion) -> Pixels:
    """Scale uint8 (H, W) or (H, W, C)."""
    if pixels.shape[:2] == (height, width):
        return pixels
    if width > pixels.shape[1] or height > pixels.shape[0]:
        return _resized(pixels, width, height, INTERPOLATIONS[how.upscale_interpolation])
    if how.decode_mode == "area":
        return _resized(pixels, width, height, INTERPOLATIONS[how.downscale_interpolation])
    while (wide := pixels.shape[1] >= 2 * width) | (high := pixels.shape[0] >= 2 * height):
        # An odd last row or column is left out: the fast path wants a ratio of exactly two.
        columns, rows = (
            side >> is_double
            for side, is_double in ((pixels.shape[1], wide), (pixels.shape[0], high))
        )
        even = pixels[: rows << high, : columns << wide]
        pixels = _resized(even, columns, rows, cv2.INTER_AREA)
    return _resized(pixels, width, height, cv2.INTER_LINEAR)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn and mirror as EXIF says."""
    turn = TURNS.get(orientation)
    return np.ascontiguousarray(turn(pixels)) if turn else pixels


def framed(pixels: Pixels, how: Ingestion) -> Pixels:
    """Crop or border scaled pixels, uint8 (H, W, 3), as the mode says."""
    size = how.image_size
    height, width = pixels.shape[:2]
    if how.resize_mode == "center_crop":
        top, left = (height - size) // 2, (width - size) // 2
        return np.ascontiguousarray(pixels[top : top + size, left : left + size])
    if how.resize_mode == "border":
        down, right = size - height, size - width
        top, left = down // 2, right // 2
        bordered = cv2.copyMakeBorder(
            pixels, top, down - top, left, right - left, cv2.BORDER_CONSTANT, value=WHITE
        )
        return np.asarray(bordered, dtype=np.uint8)
    return pixels


def _fixed_side(width: int, height: int, how: Ingestion) -> int:
    is_shorter = how.resize_mode in ("keep_ratio", "center_crop")
    return min(width, height) if is_shorter else max(width, height)


def _resized(pixels: Pixels, width: int, height: int, method: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method), dtype=np.uint8)
