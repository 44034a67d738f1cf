"""Decode mode `area` gives img2dataset's pixels, the faster ones near them; options are its own.

The slow method beside ours is img2dataset 1.47's: decode all, one interpolation, then crop or
border, in blue, green and red as OpenCV has them.
"""

import io
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tasks.errors import InputError
from tasks.ingestion.pictures.formats.reading import read_header
from tasks.ingestion.pictures.images import Picture, stored_picture
from tasks.ingestion.pictures.resizing import shrink_factor, target_size
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome
from tests.crafted import frames, saved
from tests.drawn import HEIGHT, WIDTH, pixels

Pixels = NDArray[np.uint8]

# 601 x 433 shrinks to 97, 67 x 43 grows to it; sides are primes.
LARGE = pixels(width=601, height=433)
SIZE = 97
# Without loss, so that pixels can be compared.
EXACT = Ingestion(
    image_size=SIZE, decode_mode="area", encode_format="png", encode_quality=1, skip_reencode=False
)
MODES = ("no", "border", "keep_ratio", "keep_ratio_largest", "center_crop", "fixed")


def img2dataset(content: bytes, mode: str, *, only_if_bigger: bool) -> Pixels:
    """Blue, green and red as img2dataset would encode them, at SIZE."""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    height, width = image.shape[:2]
    side = min(height, width) if mode in ("keep_ratio", "center_crop") else max(height, width)
    if mode == "no" or (only_if_bigger and side <= SIZE):
        return np.asarray(image, np.uint8)
    how = cv2.INTER_AREA if side > SIZE else cv2.INTER_LANCZOS4
    size = (round(width * (SIZE / side)), round(height * (SIZE / side)))
    image = cv2.resize(image, (SIZE, SIZE) if mode == "fixed" else size, interpolation=how)
    height, width = image.shape[:2]
    if mode == "center_crop":
        top, left = (height - SIZE) // 2, (width - SIZE) // 2
        image = image[top : top + SIZE, left : left + SIZE]
    if mode == "border":
        top, left = (SIZE - height) // 2, (SIZE - width) // 2
        around = (top, SIZE - height - top, left, SIZE - width - left)
        image = cv2.copyMakeBorder(image, *around, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    return np.asarray(image, np.uint8)


def stored(found: Picture) -> Pixels:
    """The stored picture's pixels, red first."""
    assert found.outcome is Outcome.KEPT, found.message
    with Image.open(io.BytesIO(found.content)) as image:
        assert image.mode == "RGB"
        array = np.asarray(image)
    assert (found.columns["width"], found.columns["height"]) == (array.shape[1], array.shape[0])
    return array


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("drawn", [LARGE, pixels()], ids=["large", "small"])
@pytest.mark.parametrize("only_if_bigger", [True, False], ids=["only-bigger", "always"])
def test_area_gives_the_pixels_of_img2dataset(
    kind: str, mode: str, drawn: Pixels, only_if_bigger: bool
) -> None:
    content = saved(drawn, kind)
    how = replace(EXACT, resize_mode=mode, resize_only_if_bigger=only_if_bigger)
    expected = img2dataset(content, mode, only_if_bigger=only_if_bigger)[:, :, ::-1]
    assert np.array_equal(stored(stored_picture(content, how)), expected)


def test_area_lays_alpha_on_white_as_img2dataset_does() -> None:
    rgba = np.dstack([LARGE, np.linspace(0, 255, LARGE[:, :, 0].size).reshape(433, 601)])
    rgba = rgba.astype(np.uint8)
    alpha = rgba[:, :, 3:] / 255
    flat = np.rint(rgba[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    expected = cv2.resize(flat, (135, 97), interpolation=cv2.INTER_AREA)
    assert np.array_equal(stored(stored_picture(saved(rgba, "PNG"), EXACT)), expected)


@pytest.mark.parametrize("name", ["nearest", "linear", "cubic", "area", "lanczos"])
def test_each_interpolation_is_opencvs_of_that_name(name: str) -> None:
    methods = {
        "nearest": cv2.INTER_NEAREST,
        "linear": cv2.INTER_LINEAR,
        "cubic": cv2.INTER_CUBIC,
        "area": cv2.INTER_AREA,
        "lanczos": cv2.INTER_LANCZOS4,
    }
    how = replace(
        EXACT, resize_only_if_bigger=False, upscale_interpolation=name, downscale_interpolation=name
    )
    # 433 -> 97 is 601 -> 135 (134.6), and 43 -> 97 is 67 -> 151 (151.1).
    for drawn, size in ((LARGE, (135, 97)), (pixels(), (151, 97))):
        expected = cv2.resize(drawn, size, interpolation=methods[name])
        assert np.array_equal(stored(stored_picture(saved(drawn, "PNG"), how)), expected)


@pytest.mark.parametrize("mode", ["fast", "hq"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("resize_mode", MODES)
def test_the_faster_modes_are_near_area(mode: str, kind: str, resize_mode: str) -> None:
    quality: dict[str, Any] = {"quality": 95} if kind == "JPEG" else {}
    content = saved(LARGE, kind, **quality)
    expected = stored(stored_picture(content, replace(EXACT, resize_mode=resize_mode)))
    faster = replace(EXACT, decode_mode=mode, resize_mode=resize_mode)
    found = stored(stored_picture(content, faster))
    error = np.mean((found.astype(float) - expected) ** 2)
    assert found.shape == expected.shape
    # The edge down the middle of the picture costs most of it.
    assert error < 255**2 / 10**2.9  # 29 dB


# 601 x 433 to 97: 433 / 97 is 4.46, so an eighth is too small; to 54: 433 / 54 is 8.02.
@pytest.mark.parametrize(
    ("size", "mode", "factor"),
    [(97, "fast", 4), (97, "hq", 2), (54, "fast", 8), (54, "hq", 4), (55, "fast", 4),
     (217, "fast", 1), (216, "fast", 2), (216, "hq", 1), (20, "area", 1)],
)  # fmt: skip
def test_a_jpeg_is_decoded_at_the_smallest_scale_that_leaves_enough(
    size: int, mode: str, factor: int
) -> None:
    how = Ingestion(image_size=size, decode_mode=mode)
    header = read_header(saved(LARGE, "JPEG"))
    assert shrink_factor(header, target_size(601, 433, how), mode) == factor


@pytest.mark.parametrize(
    ("kind", "encode_format", "quality"),
    [("JPEG", "jpg", 95), ("PNG", "png", 6), ("WEBP", "webp", 80)],
)
def test_a_picture_of_the_format_that_nothing_changes_keeps_its_bytes(
    kind: str, encode_format: str, quality: int
) -> None:
    content = saved(pixels(), kind)
    how = Ingestion(encode_format=encode_format, encode_quality=quality)
    kept = stored_picture(content, how)
    assert (kept.content, kept.extension) == (content, encode_format)
    again = stored_picture(content, replace(how, skip_reencode=False))
    assert again.outcome is Outcome.KEPT
    assert again.content != content


@pytest.mark.parametrize(
    "content",
    [
        saved(pixels(), "JPEG") + b"what is hidden behind it",
        frames("MPO"),
        saved(pixels(), "JPEG", "L"),
        saved(pixels(), "JPEG", "CMYK"),
        saved(pixels(), "PNG"),
    ],
    ids=["bytes-behind", "two-pictures", "grey", "cmyk", "png"],
)
def test_anything_more_or_else_than_a_plain_jpeg_is_encoded_anew(content: bytes) -> None:
    found = stored_picture(content, Ingestion())
    assert found.content != content
    assert stored(found).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(("kind", "extension"), [("JPEG", "jpg"), ("GIF", "gif"), ("AVIF", "avif")])
def test_without_reencoding_every_picture_keeps_its_bytes(kind: str, extension: str) -> None:
    content = saved(LARGE, kind)
    found = stored_picture(content, Ingestion(disable_all_reencoding=True))
    assert (found.content, found.extension) == (content, extension)
    assert (found.columns["width"], found.columns["height"]) == (601, 433)


def test_without_reencoding_a_damaged_picture_is_refused_all_the_same() -> None:
    how = Ingestion(disable_all_reencoding=True)
    content = saved(LARGE, "JPEG")
    assert stored_picture(content[:-500], how).outcome is Outcome.TRUNCATED
    assert stored_picture(content, replace(how, max_image_area=1000)).outcome is (
        Outcome.TOO_MANY_PIXELS
    )


def test_a_large_picture_that_keeps_its_bytes_has_the_signals_of_its_small_self() -> None:
    content = saved(LARGE, "JPEG", quality=95)
    kept = stored_picture(content, Ingestion(resize_mode="no"))
    made = stored_picture(content, Ingestion(resize_mode="no", skip_reencode=False))
    assert kept.content == content
    assert abs(kept.columns["bright_p50"] - made.columns["bright_p50"]) < 0.02
    assert (kept.columns["phash"] ^ made.columns["phash"]).bit_count() <= 8


@pytest.mark.parametrize(
    ("encode_format", "name"), [("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")]
)
def test_pictures_are_stored_in_the_format_that_was_asked_for(
    encode_format: str, name: str
) -> None:
    how = Ingestion(image_size=SIZE, encode_format=encode_format, encode_quality=9)
    found = stored_picture(saved(LARGE, "PNG"), how)
    with Image.open(io.BytesIO(found.content)) as image:
        assert (image.format, image.size, found.extension) == (name, (135, 97), encode_format)


def test_a_better_quality_takes_more_bytes() -> None:
    content = saved(LARGE, "PNG")
    for name, low, high in (("jpg", 0, 95), ("webp", 0, 100), ("png", 9, 0)):
        sizes = [
            len(stored_picture(content, Ingestion(encode_format=name, encode_quality=q)).content)
            for q in (low, high)
        ]
        assert sizes[0] < sizes[1]


def test_what_grows_past_the_limits_is_refused_before_it_is_made() -> None:
    strip = saved(np.zeros((2, 1000, 3), np.uint8), "PNG")
    how = Ingestion(
        image_size=500, resize_only_if_bigger=False, max_aspect_ratio=1000, min_image_size=0
    )  # to 250,000 x 500
    assert stored_picture(strip, how).outcome is Outcome.TOO_MANY_PIXELS
    shorter = replace(how, image_size=300)  # to 150,000 x 300, which no JPEG is
    found = stored_picture(strip, shorter)
    assert (found.outcome, found.message) == (
        Outcome.TOO_MANY_PIXELS,
        "150000 x 300 after resizing; no jpg is over 65500 long",
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"resize_mode": "stretch"}, "resize_mode is one of no, border"),
        ({"decode_mode": "slow"}, "decode_mode is one of fast, hq, area, not 'slow'"),
        ({"encode_format": "gif"}, "encode_format is one of jpg, png, webp, not 'gif'"),
        ({"upscale_interpolation": "best"}, "upscale_interpolation is one of nearest"),
        ({"downscale_interpolation": "cubic"}, "cubic needs decode_mode area"),
        ({"encode_quality": 101}, "encode_quality of jpg is 0 to 100, not 101"),
        ({"encode_format": "png"}, "encode_quality of png is 0 to 9, not 95"),
        ({"animated": "all"}, "animated is one of first, drop, not 'all'"),
        ({"image_size": 0}, "image_size is above 0, not 0"),
        ({"min_image_size": -1}, "min_image_size is 0 or more, not -1"),
        ({"max_aspect_ratio": 0.5}, "max_aspect_ratio is 1 or more, not 0.5"),
    ],
)
def test_an_option_out_of_its_range_is_named(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Ingestion(**wrong)  # type: ignore[arg-type]
