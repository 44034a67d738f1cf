"""What can be said of a picture without a model: sharpness, light, flatness, two 64-bit hashes."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.ingestion.decoding import Pixels

LONG_SIDE = 256  # sharpness and edges are measured at one scale
HASH_SIDE = 8
DCT_SIDE = 32


def image_signals(pixels: Pixels) -> dict[str, Any]:
    """Return the signal columns of `tasks.rows.WEB` for uint8 (H, W, 3) RGB pixels.

    Brightness percentiles lie in 0..1, entropy is in bits of a 256-bin grey histogram,
    `colorfulness` is Hasler and Suesstrunk's (2003), `flat_frac` the share of the commonest of
    4,096 colours, `edge_frac` the share of Canny edge pixels.
    """
    small = _at_one_scale(pixels)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    counts = np.bincount(grey.ravel(), minlength=256)
    shares = counts[counts > 0] / grey.size
    p1, p50, p99 = np.searchsorted(np.cumsum(counts), np.array([0.01, 0.5, 0.99]) * grey.size)
    return {
        "phash": perceptual_hash(grey),
        "dhash": difference_hash(grey),
        "lap_var": float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        "entropy": float(-(shares * np.log2(shares)).sum()) + 0.0,
        "bright_p1": float(p1) / 255,
        "bright_p50": float(p50) / 255,
        "bright_p99": float(p99) / 255,
        "colorfulness": _colorfulness(small),
        "flat_frac": _flat_share(small),
        "edge_frac": float((cv2.Canny(grey, 100, 200) > 0).mean()),
    }


def perceptual_hash(grey: NDArray[np.uint8]) -> int:
    """Return 64 bits: signs of the low 8 x 8 DCT coefficients about their median (pHash)."""
    square = cv2.resize(grey, (DCT_SIDE, DCT_SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(square.astype(np.float32))[:HASH_SIDE, :HASH_SIDE]
    return _bits(low > np.median(low))


def difference_hash(grey: NDArray[np.uint8]) -> int:
    """Return 64 bits: is each of 8 x 8 pixels brighter than its right neighbour (dHash)."""
    small = cv2.resize(grey, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)
    return _bits(small[:, :-1] > small[:, 1:])


def _at_one_scale(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    longer = max(height, width)
    if longer <= LONG_SIDE:
        return pixels
    size = (max(width * LONG_SIDE // longer, 1), max(height * LONG_SIDE // longer, 1))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _bits(signs: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(signs.ravel()).tobytes(), "big")


def _colorfulness(pixels: Pixels) -> float:
    red, green, blue = (pixels[:, :, c].astype(np.float32) for c in range(3))
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = float(np.hypot(red_green.std(), yellow_blue.std()))
    return spread + 0.3 * float(np.hypot(red_green.mean(), yellow_blue.mean()))


def _flat_share(pixels: Pixels) -> float:
    coarse = (pixels >> 4).astype(np.uint16)
    codes = (coarse[:, :, 0] << 8) | (coarse[:, :, 1] << 4) | coarse[:, :, 2]
    return float(np.bincount(codes.ravel(), minlength=4096).max() / codes.size)
