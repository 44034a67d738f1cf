"""Pictures made for tests, in every format and with every defect that ingestion meets."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Sides are primes, and no two are alike: a transposed picture cannot pass for an upright one.
WIDTH, HEIGHT = 67, 43


def pixels(width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth noise: left half reddish, right half bluish."""
    coarse = np.random.default_rng(seed).integers(60, 200, (5, 7, 3), dtype=np.uint8)
    drawn = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    array = np.array(drawn)
    array[:, : width // 2, 0] = 250
    array[:, width // 2 :, 2] = 250
    return array


def encoded(kind: str = "JPEG", mode: str = "RGB", seed: int = 0, **how: Any) -> bytes:
    """A picture of WIDTH x HEIGHT as a file of a kind."""
    buffer = io.BytesIO()
    Image.fromarray(pixels(seed=seed)).convert(mode).save(buffer, kind, **how)
    return buffer.getvalue()


def turned(orientation: int) -> bytes:
    """A JPEG whose EXIF says how it has to be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(exif=exif.tobytes(), quality=95)


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))
