"""Two 64-bit hashes of how a picture looks, of the whole and of what a plain border surrounds.

Copies that were recompressed, resized or brightened differ in a few bits; unrelated pictures in
about half. All sums are of whole numbers, so a picture has the same hashes on every machine, and
what is exactly symmetric has coefficients of exactly zero instead of rounding noise.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

HASH_SIDE = 8
SQUARE = 32
BORDER_LEVELS = 32  # what JPEG at quality 50 does to a border beside the picture
MAX_TRIMMED_AREA = 0.97  # what loses less than this is the same picture to both hashes
MIN_TRIMMED_SIDE = 0.8  # a wider border is the background of a thing that others have too

# Rows of the DCT-II of 32 values, the first 8 of 32, times 4096. Scale and rounding leave signs and
# order of the coefficients as they are, and whole numbers add up without error.
_ROW, _COLUMN = np.ogrid[:HASH_SIDE, :SQUARE]
_DCT = np.rint(4096 * np.cos(np.pi * (2 * _COLUMN + 1) * _ROW / (2 * SQUARE))).astype(np.int64)
_DCT[0] = round(4096 / 2**0.5)


def looks(grey: Grey) -> dict[str, int | None]:
    """Return phash, dhash, trimmed_phash and trimmed_dhash of uint8 (H, W).

    The last two are None where no plain border lies around the picture.
    """
    inner = without_border(grey)
    phash, dhash = hashes(grey)
    trimmed = (None, None) if inner is None else hashes(inner)
    return {
        "phash": phash,
        "dhash": dhash,
        "trimmed_phash": trimmed[0],
        "trimmed_dhash": trimmed[1],
    }


def hashes(grey: Grey) -> tuple[int, int]:
    """Return pHash and dHash of uint8 (H, W), both of its 32 x 32 area averages."""
    square = cv2.resize(grey, (SQUARE, SQUARE), interpolation=cv2.INTER_AREA)
    return perceptual_hash(square), difference_hash(square)


def perceptual_hash(square: Grey) -> int:
    """Return 64 bits: which of the low 8 x 8 DCT coefficients are above their median (pHash)."""
    low = (_DCT @ square.astype(np.int64) @ _DCT.T).ravel()
    middle = np.partition(low, (low.size // 2 - 1, low.size // 2))
    median_twice = middle[low.size // 2 - 1] + middle[low.size // 2]
    return _bits(2 * low > median_twice)


def difference_hash(square: Grey) -> int:
    """Return 64 bits: is each of 8 x 8 pixels brighter than its right neighbour (dHash)."""
    small = cv2.resize(square, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)
    return _bits(small[:, :-1] > small[:, 1:])


def without_border(grey: Grey) -> Grey | None:
    """Return what lies inside the rows and columns that have the corner's grey throughout.

    None where nothing worth a hash of its own is cut off, or too little would be left.
    """
    corner = int(grey[0, 0])
    plain = np.asarray(cv2.inRange(grey, corner - BORDER_LEVELS, corner + BORDER_LEVELS))
    down = np.flatnonzero(plain.min(axis=1) == 0)
    across = np.flatnonzero(plain.min(axis=0) == 0)
    if not down.size or not across.size:
        return None
    inner = grey[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
    height, width = inner.shape
    is_small = min(height / grey.shape[0], width / grey.shape[1]) < MIN_TRIMMED_SIDE
    return None if is_small or inner.size > MAX_TRIMMED_AREA * grey.size else inner


def _bits(signs: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(signs).tobytes(), "big")
