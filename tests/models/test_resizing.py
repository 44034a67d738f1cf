"""Pictures become squares as Pillow makes them, one at a time and together."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from models.resizing import resized, resized_together

# Height and width: wide, tall, square, a line, already square, and smaller than the square.
SIDES = [(29, 41), (67, 23), (53, 53), (5, 211), (31, 31), (7, 11)]


def smooth(height: int, width: int) -> Tensor:
    """A picture with slopes and edges, none of which overshoots black or white."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    planes = [100 + 60 * torch.sin(rows / 5), 100 + 60 * torch.cos(columns / 7),
              60 + 120 * ((rows // 9 + columns // 13) % 2)]  # fmt: skip
    return torch.stack([plane.float() for plane in planes], dim=-1).to(torch.uint8)


def by_pillow(image: Tensor, size: int) -> Tensor:
    found = Image.fromarray(image.numpy()).resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(found).copy())


def apart(left: Tensor, right: Tensor) -> tuple[int, float]:
    """The greatest difference, and the share of values that differ."""
    far = (left.int() - right.int()).abs()
    return int(far.max()), float((far > 0).float().mean())


@pytest.mark.parametrize("size", [17, 31, 61])
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_one_picture_is_pillows_within_a_level(sides: tuple[int, int], size: int) -> None:
    image = smooth(*sides)
    square = resized(image, size)
    assert square.shape == (size, size, 3)
    assert square.dtype == torch.uint8
    most, share = apart(square, by_pillow(image, size))
    assert most <= 1
    assert share < 0.03


@pytest.mark.parametrize("size", [17, 31, 61])
def test_pictures_of_many_sizes_together_are_pillows_within_a_level(size: int) -> None:
    images = [smooth(*sides) for sides in SIDES]
    height, width = (max(sides[n] for sides in SIDES) for n in (0, 1))
    padded = torch.full((len(images), height, width, 3), 255, dtype=torch.uint8)
    for place, image in enumerate(images):
        padded[place, : image.shape[0], : image.shape[1]] = image
    squares = resized_together(padded, SIDES, size)
    assert squares.shape == (len(images), size, size, 3)
    for image, square in zip(images, squares, strict=True):
        most, share = apart(square, by_pillow(image, size))
        assert most <= 1
        assert share < 0.03


def test_what_lies_behind_a_picture_is_not_read() -> None:
    image = smooth(13, 19)
    padded = torch.zeros(2, 23, 29, 3, dtype=torch.uint8)
    padded[1] = 255
    padded[:, :13, :19] = image
    first, second = resized_together(padded, [(13, 19)] * 2, 17)
    assert torch.equal(first, second)


def test_a_square_of_the_right_size_stays_as_it_is() -> None:
    image = smooth(31, 31)
    assert torch.equal(resized(image, 31), image)
    assert torch.equal(resized_together(image[None], [(31, 31)], 31)[0], image)
