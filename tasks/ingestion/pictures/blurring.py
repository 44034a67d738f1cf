"""Parts of pictures that are blurred before they are stored, such as faces.

A box is (x_min, y_min, x_max, y_max) in parts of the width and height of the picture as its file
has it, before EXIF turns it: img2dataset's `bbox_col`. The blur is the one that faces in ImageNet
were given (Yang et al. 2021, https://github.com/princetonvisualai/imagenet-face-obfuscation).
"""

import json
import math
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from tasks.ingestion.pictures.decoding import Pixels

Box = tuple[float, float, float, float]

# Detectors draw boxes a little beyond a picture; pixels in place of parts lie far beyond it.
BEYOND = 0.5
MARGIN = 0.1  # of a box's longer side, added around it
SIGMA = 0.1  # of the longest side of all boxes


def boxes_of(value: Any) -> tuple[Box, ...]:
    """Return the boxes that a cell of a table holds: none, one, or a list of them, or JSON of that.

    Raises:
        ValueError: it holds something else; said in a few words.
    """
    listed = _out_of_json(value) if isinstance(value, str) else value
    if listed is None:
        return ()
    if not isinstance(listed, (list, tuple)):
        raise ValueError(f"{value!r:.80} is no list of boxes")
    if not listed:
        return ()
    several = listed if isinstance(listed[0], (list, tuple)) else [listed]
    return tuple(map(_box, several))


def blurred(pixels: Pixels, boxes: Iterable[Box]) -> Pixels:
    """Return uint8 (H, W, C) with its boxes blurred, softly at their edges."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width, 1), np.float32)
    longest = 0
    for left, top, right, bottom in boxes:
        # Every pixel that a box touches belongs to it.
        x, y = math.floor(left * width), math.floor(top * height)
        far_x, far_y = math.ceil(right * width), math.ceil(bottom * height)
        side = max(far_x - x, far_y - y, 1)
        margin = math.ceil(MARGIN * side)
        longest = max(longest, side)
        down = slice(max(y - margin, 0), max(far_y + margin, 0))
        across = slice(max(x - margin, 0), max(far_x + margin, 0))
        mask[down, across] = 1
    if not longest:
        return pixels
    sharp = pixels.astype(np.float32)
    # A size of (0, 0): as far as sigma reaches.
    soft = cv2.GaussianBlur(sharp, (0, 0), SIGMA * longest)
    share = cv2.GaussianBlur(mask, (0, 0), SIGMA * longest)[:, :, None]
    return np.rint(sharp * (1 - share) + soft * share).astype(np.uint8)


def _out_of_json(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else None
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{text[:80]!r} is no JSON list of boxes") from error


def _box(value: Any) -> Box:
    try:
        left, top, right, bottom = map(float, value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{value!r:.80} is no box of four numbers") from error
    sides = (left, top, right, bottom)
    if not all(-BEYOND <= side <= 1 + BEYOND for side in sides):  # NaN is in no range
        raise ValueError(f"{value!r:.80} is not in parts of the picture, from 0 to 1")
    if left > right or top > bottom:
        raise ValueError(f"{value!r:.80} ends before it begins: x_min, y_min, x_max, y_max")
    return sides
