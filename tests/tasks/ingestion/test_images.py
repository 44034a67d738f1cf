"""Bytes become an upright sRGB picture of three channels, or an outcome that says why not."""

import io

import numpy as np
import pytest
from PIL import Image

from tasks.ingestion.pictures.images import stored_picture
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome
from tests.crafted import segment, with_segments
from tests.drawn import HEIGHT, WIDTH, decoded, encoded, pixels, turned

HOW = Ingestion()
JPEG = encoded(quality=95)


def test_a_jpeg_that_needs_no_change_keeps_its_bytes() -> None:
    found = stored_picture(JPEG, HOW)
    assert found.outcome is Outcome.KEPT
    assert found.content == JPEG
    assert (found.columns["width"], found.columns["height"]) == (WIDTH, HEIGHT)


# What EXIF says -> how numpy turns the stored rows upright (EXIF 2.3, tag 0x0112).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, -1)[:, ::-1],
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_picture_is_stored_upright(orientation: int) -> None:
    if orientation == 7:  # the transverse: transposed, then turned by half
        expected = pixels().transpose(1, 0, 2)[::-1, ::-1]
    else:
        expected = UPRIGHT[orientation](pixels())
    found = stored_picture(turned(orientation), HOW)
    stored = decoded(found.content).astype(int)
    assert stored.shape == expected.shape
    assert np.abs(stored - expected).mean() < 8


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "RGB"),
        ("PNG", "L"),
        ("PNG", "P"),
        ("PNG", "1"),
        ("WEBP", "RGB"),
        ("GIF", "P"),
        ("BMP", "RGB"),
        ("TIFF", "RGB"),
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
    ],
)
def test_every_format_and_mode_ends_as_an_rgb_jpeg(kind: str, mode: str) -> None:
    found = stored_picture(encoded(kind, mode), HOW)
    assert found.outcome is Outcome.KEPT, found.message
    with Image.open(io.BytesIO(found.content)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (WIDTH, HEIGHT))
    assert found.columns["format"] == kind.lower()


def test_a_side_that_is_too_small_and_a_strip_are_refused_from_the_header() -> None:
    assert stored_picture(JPEG, Ingestion(min_image_size=HEIGHT + 1)).outcome is Outcome.TOO_SMALL
    assert stored_picture(JPEG, Ingestion(max_aspect_ratio=1.5)).outcome is Outcome.ASPECT_RATIO
    few = Ingestion(max_image_area=WIDTH * HEIGHT - 1)
    assert stored_picture(JPEG, few).outcome is Outcome.TOO_MANY_PIXELS
    assert stored_picture(JPEG, Ingestion(max_image_area=WIDTH * HEIGHT)).outcome is Outcome.KEPT


# Of 67 x 43 pixels, to 31: by hand.
@pytest.mark.parametrize(
    ("mode", "size"),
    [
        ("no", (67, 43)),
        ("keep_ratio", (48, 31)),  # the shorter side becomes 31
        ("keep_ratio_largest", (31, 20)),  # the longer one
        ("center_crop", (31, 31)),
        ("border", (31, 31)),
    ],
)
def test_each_resize_mode_gives_the_size_it_is_named_for(mode: str, size: tuple[int, int]) -> None:
    found = stored_picture(JPEG, Ingestion(resize_mode=mode, image_size=31))
    assert (found.columns["width"], found.columns["height"]) == size
    assert decoded(found.content).shape == (size[1], size[0], 3)


def test_a_smaller_picture_grows_only_when_it_is_told_to() -> None:
    kept = stored_picture(JPEG, Ingestion(image_size=101))
    grown = stored_picture(JPEG, Ingestion(image_size=101, resize_only_if_bigger=False))
    assert kept.content == JPEG
    assert (grown.columns["width"], grown.columns["height"]) == (157, 101)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000"])
def test_bytes_that_were_tampered_with_are_kept_or_refused_and_never_raise(kind: str) -> None:
    sound = encoded(kind)
    for seed in range(30):
        generator = np.random.default_rng(seed)
        content = bytearray(sound)
        for at in generator.integers(0, len(content), 7):
            content[at] = int(generator.integers(0, 256))
        found = stored_picture(bytes(content), Ingestion())
        assert (found.outcome is Outcome.KEPT) == bool(found.content)


def test_what_a_jpeg_says_of_itself_is_a_column() -> None:
    exif = Image.Exif()
    exif[271], exif[306] = "Voigtländer", "1994:07:01 12:00:00"
    content = encoded(exif=exif.tobytes())
    found = stored_picture(content, HOW).columns
    assert '"DateTime": "1994:07:01 12:00:00"' in found["exif"]
    more = with_segments(content, segment(0xFE, b"a comment"))
    assert stored_picture(more, HOW).columns == found
