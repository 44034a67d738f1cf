"""AVIF's pixels, through OpenCV's aom: Pillow's decoder paints over damage without a word."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.ingestion.header import NotStorableError
from tasks.rows import Outcome

# Each damaged picture would print two lines, and gets its outcome from us.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode_avif(content: bytes) -> NDArray[np.uint8]:
    """Return uint8 (H, W, 3 or 4), blue first, or (H, W) grey, of the first picture.

    Raises:
        NotStorableError: the bytes are damaged.
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise NotStorableError(Outcome.CORRUPT, "the AVIF's pixels are damaged or incomplete")
    if pixels.dtype == np.uint8:
        return pixels
    return cv2.convertScaleAbs(pixels, alpha=255 / ((1 << _depth(content)) - 1))


def _depth(content: bytes) -> int:
    """Return the bits a channel, 10 or 12 (AV1 in ISO base media, section 2.3.3)."""
    flags = content[content.find(b"av1C") + 6]
    return 12 if flags & 0x20 else 10
