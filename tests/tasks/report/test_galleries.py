"""A thumbnail is the picture of its key, small in pixels and in bytes."""

import base64

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.report.galleries import MOST_BYTES, SIDE, thumbnail


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".jpg", pixels[..., ::-1])[1])


def shown(uri: str) -> NDArray[np.uint8]:
    content = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    assert len(content) <= MOST_BYTES
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded[..., ::-1], dtype=np.uint8)


def test_a_large_picture_becomes_small_and_keeps_its_shape_and_colour() -> None:
    found = shown(thumbnail(jpeg(np.full((290, 430, 3), (220, 20, 20), dtype=np.uint8))))
    assert found.shape == (round(290 * SIDE / 430), SIDE, 3)
    assert np.abs(found.mean(axis=(0, 1)) - (220, 20, 20)).max() < 5


def test_a_small_picture_is_not_made_larger() -> None:
    assert shown(thumbnail(jpeg(np.zeros((41, 29, 3), dtype=np.uint8)))).shape == (41, 29, 3)


def test_noise_which_no_jpeg_compresses_well_stays_within_the_bytes() -> None:
    noise = np.random.default_rng(7).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    assert shown(thumbnail(jpeg(noise))).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize(
    "content", [b"", b"no picture", jpeg(np.zeros((31, 37, 3), np.uint8))[:40]]
)
def test_bytes_that_are_no_picture_give_none(content: bytes) -> None:
    assert thumbnail(content) == ""
