"""Pictures become pixels on the model's scale, and are varied by the generator alone."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor

from models.preprocessing import LIGHT, Augmentation, augment, to_pixels
from models.randaugment import FILL, OPERATIONS, auto_contrast, equalize, rotate, translate_x

WHOLE = Augmentation(min_scale=1.0, max_aspect=1.0, flip=False, operations=0)


def pictures(count: int = 5, height: int = 31, width: int = 43) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, height, width, 3), generator=generator).to(torch.uint8)


def test_values_land_on_the_scale_the_encoder_was_trained_on() -> None:
    images = torch.tensor([0, 127, 255], dtype=torch.uint8).expand(1, 8, 8, 3)
    clip = to_pixels(images, 8)[0, :, 0, 0]
    expected = [(v / 255 - m) / s for v, m, s in
                [(0, 0.48145466, 0.26862954), (127, 0.4578275, 0.26130258),
                 (255, 0.40821073, 0.27577711)]]  # fmt: skip
    assert clip.tolist() == pytest.approx(expected, rel=1e-5)
    lite = to_pixels(images, 8, "efficientnet")[0, :, 0, 0]
    assert lite.tolist() == pytest.approx([-127 / 128, 0, 1])


def test_a_picture_is_resized_to_a_square_whatever_its_sides() -> None:
    assert to_pixels(pictures(), 17).shape == (5, 3, 17, 17)


def test_a_resized_picture_does_not_depend_on_its_batch() -> None:
    torch.testing.assert_close(to_pixels(pictures(), 17)[2:3], to_pixels(pictures()[2:3], 17))


def test_anything_but_uint8_rgb_is_refused() -> None:
    with pytest.raises(ValueError, match=r"torch.float32 \(5, 31, 43, 3\)"):
        to_pixels(pictures().float(), 17)
    with pytest.raises(ValueError, match="decode"):
        to_pixels(pictures()[0], 17)


def test_nothing_to_vary_gives_the_picture_back() -> None:
    images = pictures(height=32, width=32)
    assert torch.equal(augment(images, 32, torch.Generator(), WHOLE), images)


def test_variation_is_a_function_of_the_generator() -> None:
    images = pictures(height=32, width=32)
    first, same, other = (
        augment(images, 32, torch.Generator().manual_seed(seed), Augmentation())
        for seed in (1, 1, 2)
    )
    assert first.dtype == torch.uint8
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_a_flip_mirrors_about_half_of_the_pictures() -> None:
    images = pictures(count=101, height=8, width=8)
    how = Augmentation(min_scale=1.0, max_aspect=1.0, flip=True, operations=0)
    flipped = augment(images, 8, torch.Generator().manual_seed(1), how)
    kept = (flipped == images).flatten(1).all(dim=1)
    mirrored = (flipped == images.flip(2)).flatten(1).all(dim=1)
    assert (kept | mirrored).all()
    assert 30 < mirrored.sum() < 71


def test_a_crop_stays_inside_the_picture_and_keeps_its_share() -> None:
    # A ramp from left to right: the range of values left is the width of the crop.
    ramp = torch.arange(0, 256, 2, dtype=torch.uint8).expand(53, 128, 128)[..., None]
    crops = augment(ramp.expand(-1, -1, -1, 3), 64, torch.Generator().manual_seed(1), LIGHT)
    spans = (crops.amax(dim=(1, 2, 3)).float() - crops.amin(dim=(1, 2, 3))) / 255
    assert spans.min() > (0.7 / 1.1) ** 0.5 - 0.03
    assert spans.max() <= 1
    assert spans.std() > 0.02


@pytest.mark.parametrize("aspect", [2.0, 0.5, 1.0])
def test_a_crop_of_a_squeezed_picture_has_the_sides_it_would_have_in_the_whole_one(
    aspect: float,
) -> None:
    # Ramps to the right and downwards tell how much of the width and of the height a crop keeps.
    across = torch.arange(0, 256, 2, dtype=torch.uint8).expand(211, 128, 128)
    images = torch.stack([across, across.transpose(1, 2), across], dim=3)
    how = Augmentation(min_scale=0.2, max_aspect=4 / 3, flip=False, operations=0)
    aspects = torch.full((211,), aspect)
    crops = augment(images, 64, torch.Generator().manual_seed(3), how, aspects=aspects).float()
    wide, high = (
        (crops.amax(dim=(1, 2)) - crops.amin(dim=(1, 2)))[:, channel] / 255 for channel in (0, 1)
    )
    inside = (wide < 0.95) & (high < 0.95)
    sides = (wide * aspect / high)[inside]
    assert len(sides) > 50
    assert sides.min() > 3 / 4 - 0.06
    assert sides.max() < 4 / 3 + 0.08
    assert sides.std() > 0.1


def test_a_squeezed_picture_that_is_not_to_be_cropped_stays_whole() -> None:
    images = pictures(height=32, width=32)
    aspects = torch.full((len(images),), 1.7)
    assert torch.equal(augment(images, 32, torch.Generator(), WHOLE, aspects=aspects), images)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_keeps_shape_and_scale(operation: object) -> None:
    images = pictures(count=3, height=16, width=16).permute(0, 3, 1, 2).float()
    varied = operation(images, 0.5, torch.tensor([1.0, -1.0, 1.0]))  # type: ignore[operator]
    assert varied.shape == images.shape
    assert varied.min() >= 0
    assert varied.max() <= 255.01


def test_contrast_is_stretched_over_the_whole_scale() -> None:
    row = torch.tensor([50.0, 100.0, 150.0, 100.0]).reshape(1, 1, 2, 2).expand(1, 3, -1, -1)
    stretched = auto_contrast(row, 0.5, torch.ones(1))[0, 0].flatten()
    assert stretched.tolist() == pytest.approx([0, 127.5, 255, 127.5])
    flat = torch.full((1, 3, 4, 4), 9.0)
    assert torch.equal(auto_contrast(flat, 0.5, torch.ones(1)), flat)


def test_a_histogram_is_flattened_as_pillow_flattens_it() -> None:
    dull = (pictures(height=32, width=29).float() * 0.3 + 40).to(torch.uint8)
    varied = equalize(dull.permute(0, 3, 1, 2).float(), 0.5, torch.ones(5)).permute(0, 2, 3, 1)
    for image, row in zip(dull, varied, strict=True):
        expected = np.asarray(ImageOps.equalize(Image.fromarray(image.numpy())))
        assert np.array_equal(row.to(torch.uint8).numpy(), expected)


def test_what_a_move_uncovers_is_grey() -> None:
    white = torch.full((2, 3, 20, 20), 255.0)
    moved = translate_x(white, 0.5, torch.tensor([1.0, -1.0]))
    assert moved[0, 0, 0].tolist() == pytest.approx([255] * 15 + [FILL] * 5)
    assert moved[1, 0, 0].tolist() == pytest.approx([FILL] * 5 + [255] * 15)


def test_a_turn_keeps_the_middle() -> None:
    images = torch.zeros(1, 3, 21, 21)
    images[:, :, 10, 10] = 200
    assert rotate(images, 1.0, torch.ones(1))[0, 0, 10, 10] == pytest.approx(200, abs=1)


@pytest.mark.parametrize("wrong", [{"min_scale": 0.0}, {"max_aspect": 0.5}, {"magnitude": 11}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Augmentation(**wrong)  # type: ignore[arg-type]
