"""What OpenCV decodes: PNG, still WebP, AVIF, and BMP in runs.

It is faster than Pillow on PNG, on WebP, whose pixels Pillow copies through an animation, and on
BMP, which Pillow unpacks byte by byte in Python. Its aom finds damage that Pillow's dav1d paints
over.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.ingestion.pictures.formats.boxes import av1_depth, is_cut
from tasks.ingestion.pictures.formats.png import drawn_png
from tasks.ingestion.pictures.header import Header, NotStorableError
from tasks.rows import Outcome

# There is a process a core: more threads would only take turns.
cv2.setNumThreads(1)
# Each damaged picture would print two lines, and gets its outcome from us.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

RUN_LENGTHS = (1, 2)  # BMP's compressions RLE8 and RLE4


def decodes(header: Header, content: bytes) -> bool:
    """Return whether a picture is decoded here."""
    if header.format == "bmp":
        return int.from_bytes(content[30:34], "little") in RUN_LENGTHS
    return header.format in ("png", "avif") or (header.format == "webp" and not header.is_animated)


def decode_with_opencv(content: bytes, header: Header) -> NDArray[np.uint8]:
    """Return uint8 (H, W) grey or (H, W, 3 or 4), blue first, of the first picture.

    Raises:
        NotStorableError: the bytes are damaged.
    """
    drawn = drawn_png(content, header) if header.format == "png" else content
    try:
        pixels = cv2.imdecode(np.frombuffer(drawn, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        short = header.format == "avif" and is_cut(content)
        outcome = Outcome.TRUNCATED if short else Outcome.CORRUPT
        said = f"the {header.format}'s pixels are damaged or incomplete"
        raise NotStorableError(outcome, said)
    if pixels.ndim == 2 and header.grey_key is not None:  # OpenCV heeds keys of colour only
        pixels[pixels == header.grey_key] = np.iinfo(pixels.dtype).max
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, dtype=np.uint8)
    bits = av1_depth(content) if header.format == "avif" else 16
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=255 / ((1 << bits) - 1)), dtype=np.uint8)
