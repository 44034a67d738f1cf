"""What can be said of a picture without a model: sharpness, light, flatness, edges, two hashes.

Everything is counted in whole numbers by OpenCV's vector loops; a picture of 256 pixels takes two
thirds of a millisecond (`make bench-signals`).
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.ingestion.pictures.hashes import looks

Pixels = NDArray[np.uint8]
Grey = NDArray[np.uint8]

LONG_SIDE = 256  # everything is measured at one scale
SHADES = 16  # levels of a channel that `flat_frac` tells apart
PERCENTILES = np.array([0.01, 0.5, 0.99])
EDGE = 200  # grey levels: |dx| + |dy| of 3 x 3 Sobel derivatives, 1020 at most each
AXIS = 32  # the weaker derivative of an edge along a row or column is below this


def image_signals(pixels: Pixels) -> dict[str, Any]:
    """Return the signal columns of `tasks.rows.WEB` for uint8 (H, W, 3) RGB pixels.

    Brightness percentiles lie in 0..1, entropy is in bits of a 256-bin grey histogram,
    `lap_var` is the variance of the 3 x 3 Laplacian, `colorfulness` is Hasler and Suesstrunk's
    (2003), `flat_frac` the share of the commonest of 4,096 colours, `edge_frac` the share of
    pixels on an edge, `axis_frac` the share of those whose edge runs along a row or a column.
    """
    small = at_one_scale(pixels)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return {
        **looks(grey),
        **light(grey),
        **edges(grey),
        "lap_var": sharpness(grey),
        "colorfulness": colorfulness(small),
        "flat_frac": flat_share(small),
    }


def at_one_scale(pixels: Pixels) -> Pixels:
    """Scale uint8 (H, W, 3) to a longer side of 256, by halving while that can be done.

    A last bilinear step of less than two does not alias, and both are eight times as fast as area
    averages at an odd ratio. Smaller pictures stay as they are.
    """
    while (longer := max(pixels.shape[:2])) >= 2 * LONG_SIDE and min(pixels.shape[:2]) > 1:
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        pixels = _resized(pixels[: 2 * height, : 2 * width], width, height, cv2.INTER_AREA)
    if longer <= LONG_SIDE:
        return pixels
    height, width = (max(side * LONG_SIDE // longer, 1) for side in pixels.shape[:2])
    return _resized(pixels, width, height, cv2.INTER_LINEAR)


def light(grey: Grey) -> dict[str, float]:
    """Return entropy and the 1st, 50th and 99th percentile of brightness."""
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()
    shares = counts[counts > 0] / grey.size
    p1, p50, p99 = np.searchsorted(np.cumsum(counts), PERCENTILES * grey.size) / 255
    return {
        "entropy": float(-(shares * np.log2(shares)).sum()) + 0.0,  # of one grey: 0, not -0
        "bright_p1": float(p1),
        "bright_p50": float(p50),
        "bright_p99": float(p99),
    }


def sharpness(grey: Grey) -> float:
    """Return the variance of the 3 x 3 Laplacian."""
    laplacian = cv2.Laplacian(grey, cv2.CV_16S)
    mean = cv2.sumElems(laplacian)[0] / grey.size
    return float(cv2.norm(laplacian, cv2.NORM_L2SQR) / grey.size - mean * mean)


def edges(grey: Grey) -> dict[str, float]:
    """Return the share of edge pixels, and of these the share on horizontal or vertical edges."""
    across, down = (cv2.convertScaleAbs(one) for one in cv2.spatialGradient(grey))
    # Bytes that overflow stay at 255, which is above both thresholds: the answers are exact.
    _, strong = cv2.threshold(cv2.add(across, down), EDGE - 1, 255, cv2.THRESH_BINARY)
    _, straight = cv2.threshold(cv2.min(across, down), AXIS - 1, 255, cv2.THRESH_BINARY_INV)
    n_edges = cv2.countNonZero(strong)
    n_straight = cv2.countNonZero(cv2.bitwise_and(strong, straight))
    return {"edge_frac": n_edges / grey.size, "axis_frac": n_straight / max(n_edges, 1)}


def colorfulness(pixels: Pixels) -> float:
    """Return Hasler and Suesstrunk's measure of uint8 (H, W, 3).

    Their opponent colours are r - g and (r + g) / 2 - b; the squares of both follow from the
    squared differences of two channels each, which are sums of whole numbers.
    """
    n = pixels.shape[0] * pixels.shape[1]
    red, green, blue = cv2.split(pixels)
    squares = [
        cv2.norm(one, other, cv2.NORM_L2SQR) / n
        for one, other in ((red, green), (red, blue), (green, blue))
    ]
    r, g, b, _ = cv2.mean(pixels)
    red_green, yellow_blue = r - g, (r + g) / 2 - b
    # ((r - b) + (g - b))^2 = 2 (r - b)^2 + 2 (g - b)^2 - (r - g)^2
    of_yellow_blue = (2 * squares[1] + 2 * squares[2] - squares[0]) / 4
    variance = squares[0] - red_green**2 + of_yellow_blue - yellow_blue**2
    return float(np.sqrt(max(variance, 0.0)) + 0.3 * np.hypot(red_green, yellow_blue))


def flat_share(pixels: Pixels) -> float:
    """Return the share of the commonest colour, 16 levels a channel, of uint8 (H, W, 3)."""
    counts = cv2.calcHist([pixels], [0, 1, 2], None, [SHADES] * 3, [0, 256] * 3)
    return float(counts.max()) / (pixels.shape[0] * pixels.shape[1])


def _resized(pixels: Pixels, width: int, height: int, method: int) -> Pixels:
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method), dtype=np.uint8)
