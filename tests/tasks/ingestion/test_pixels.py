"""Pixels come out as a viewer shows them: upright, sRGB, 8 bits, three channels, alpha on white.

All is stored as PNG here, so that what is expected can be computed by hand from what was drawn.
"""

import io
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tasks.ingestion.pictures.images import stored_picture
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome
from tests.crafted import (
    bmp,
    chunk,
    frames,
    gif,
    png,
    saved,
    tiff,
)
from tests.drawn import HEIGHT, WIDTH, pixels

HOW = Ingestion(encode_format="png", encode_quality=1, skip_reencode=False)
DRAWN = pixels()
GREY = DRAWN[:, :, 0]
ALPHA = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
SIZE = (WIDTH, HEIGHT)
PALETTE = [(2 * n, 255 - n, n) for n in range(128)]

Pixels = NDArray[np.uint8]


def stored(content: bytes) -> NDArray[np.int64]:
    """The stored pixels, as numbers that can be subtracted."""
    found = stored_picture(content, HOW)
    assert found.outcome is Outcome.KEPT, found.message
    with Image.open(io.BytesIO(found.content)) as image:
        assert image.mode == "RGB"
        return np.asarray(image).astype(np.int64)


def on_white(colour: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.int64]:
    share = alpha.astype(float)[:, :, None] / 255
    return np.rint(colour * share + 255 * (1 - share)).astype(np.int64)


def grey(values: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(values[:, :, None], 3, axis=2)


def rows(array: NDArray[Any]) -> bytes:
    """Rows of a PNG without a filter; 16 bits with the high byte first."""
    big_endian = array.astype(array.dtype.newbyteorder(">"))
    return b"".join(b"\0" + row.tobytes() for row in big_endian)


def adam7(array: Pixels) -> bytes:
    """Rows of an interlaced PNG: seven passes, by the table of the specification."""
    starts = ((0, 0), (0, 4), (4, 0), (0, 2), (2, 0), (0, 1), (1, 0))
    steps = ((8, 8), (8, 8), (8, 4), (4, 4), (4, 2), (2, 2), (2, 1))
    return b"".join(
        rows(array[top::down, left::right])
        for (top, left), (down, right) in zip(starts, steps, strict=True)
    )


# EXIF's orientation -> how numpy turns the stored rows upright.
UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: np.rot90(a, 2),
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_every_format_that_says_how_to_turn_it_is_turned(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    content = saved(DRAWN, kind, exif=exif.tobytes() if kind != "TIFF" else exif, **lossless)
    assert np.array_equal(stored(content), UPRIGHT[orientation](DRAWN))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_turn_that_nobody_knows_is_none(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert np.array_equal(stored(saved(DRAWN, "PNG", exif=exif.tobytes())), DRAWN)


def test_a_turned_picture_is_shrunk_and_cropped_as_it_is_seen() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    large = pixels(width=301, height=211)
    how = Ingestion(image_size=97, encode_format="png", encode_quality=1, decode_mode="area")
    found = stored_picture(saved(large, "PNG", exif=exif.tobytes()), how)
    # Seen as 211 x 301; the shorter side becomes 97, and 301 x 97 / 211 = 138.4 the longer.
    assert (found.columns["width"], found.columns["height"]) == (97, 138)
    assert (found.columns["original_width"], found.columns["original_height"]) == (301, 211)


DEEP = DRAWN.astype(np.uint16) * 257  # 0 is 0 and 255 is 65,535
DEEP_ALPHA = ALPHA.astype(np.uint16) * 257
TABLE = chunk(b"PLTE", b"".join(bytes(colour) for colour in PALETTE))
INDICES = np.tile(np.arange(WIDTH, dtype=np.uint8), (HEIGHT, 1))
COLOURS = np.array(PALETTE)[INDICES]
TWO_BITS = (b"\0" + b"\x1b" * 10) * 40  # 0x1B is 0, 1, 2, 3

PNGS: dict[str, tuple[bytes, NDArray[Any]]] = {
    "rgb": (saved(DRAWN, "PNG"), DRAWN),
    "interlaced": (png(SIZE, 8, 2, adam7(DRAWN), interlace=1), DRAWN),
    "grey": (saved(GREY, "PNG"), grey(GREY)),
    "rgba": (saved(np.dstack([DRAWN, ALPHA]), "PNG"), on_white(DRAWN, ALPHA)),
    "opaque": (saved(np.dstack([DRAWN, ALPHA * 0 + 255]), "PNG"), DRAWN),
    "grey and alpha": (saved(np.dstack([GREY, ALPHA]), "PNG", "LA"), on_white(grey(GREY), ALPHA)),
    "palette": (png(SIZE, 8, 3, rows(INDICES), TABLE), COLOURS),
    "palette and alpha": (
        png(SIZE, 8, 3, rows(INDICES), TABLE, chunk(b"tRNS", bytes(range(128)))),
        on_white(COLOURS, INDICES),
    ),
    "one colour is clear": (
        png(SIZE, 8, 2, rows(DRAWN), chunk(b"tRNS", struct.pack(">3H", *DRAWN[5, 7]))),
        np.where((DRAWN[5, 7] == DRAWN).all(axis=2, keepdims=True), 255, DRAWN),
    ),
    "one grey is clear": (
        png(SIZE, 8, 0, rows(GREY), chunk(b"tRNS", struct.pack(">H", GREY[5, 7]))),
        grey(np.where(GREY[5, 7] == GREY, 255, GREY)),
    ),
    "16 bits": (png(SIZE, 16, 2, rows(DEEP)), DRAWN),
    "16 bits of grey": (png(SIZE, 16, 0, rows(DEEP[:, :, 0])), grey(GREY)),
    "16 bits and alpha": (
        png(SIZE, 16, 6, rows(np.dstack([DEEP, DEEP_ALPHA]))),
        on_white(DRAWN, ALPHA),
    ),
    "16 bits of grey and alpha": (
        png(SIZE, 16, 4, rows(np.dstack([DEEP[:, :, 0], DEEP_ALPHA]))),
        on_white(grey(GREY), ALPHA),
    ),
    "one grey of 16 bits is clear": (
        png(SIZE, 16, 0, rows(DEEP[:, :, 0]), chunk(b"tRNS", struct.pack(">H", DEEP[5, 7, 0]))),
        grey(np.where(GREY[5, 7] == GREY, 255, GREY)),
    ),
    "two bits": (png((40, 40), 2, 0, TWO_BITS), grey(np.tile([0, 85, 170, 255], (40, 10)))),
    "two bits of which one is clear": (
        png((40, 40), 2, 0, TWO_BITS, chunk(b"tRNS", b"\0\1")),
        grey(np.tile([0, 255, 170, 255], (40, 10))),
    ),
    "one bit": (
        png((40, 40), 1, 0, (b"\0" + b"\x55" * 5) * 40),
        grey(np.tile([0, 255], (40, 20))),
    ),
    "animated": (frames("PNG"), DRAWN),
}  # fmt: skip


@pytest.mark.parametrize("name", PNGS)
def test_a_png_is_what_its_bits_say(name: str) -> None:
    content, expected = PNGS[name]
    assert np.array_equal(stored(content), expected)


def framed_by_white(drawn: NDArray[Any]) -> NDArray[Any]:
    canvas = np.full((HEIGHT, WIDTH, 3), 255)
    canvas[5:25, 10:40] = drawn
    return canvas


BOX = (10, 5, 30, 20)
MULTIPLIED = np.dstack([np.rint(DRAWN * (ALPHA / 255)[:, :, None]).astype(np.uint8), ALPHA])
BLUE_FIRST = DRAWN[:, :, ::-1]
PADDED = np.pad(BLUE_FIRST.reshape(HEIGHT, -1), ((0, 0), (0, -3 * WIDTH % 4)))
RUNS = b"".join(bytes((9 if n < 7 else 4, n)) for n in range(8)) + b"\0\0"  # 7 x 9 + 4 = 67
RUN_COLOURS = np.array(PALETTE)[np.tile(np.arange(WIDTH) // 9, (HEIGHT, 1))]
BMP_TABLE = b"".join(bytes((*colour[::-1], 0)) for colour in PALETTE)

OTHERS: dict[str, tuple[bytes, NDArray[Any]]] = {
    "gif whose first frame lies amid its canvas": (
        gif(SIZE, BOX, [7] * 600, PALETTE),
        framed_by_white(np.full((20, 30, 3), PALETTE[7])),
    ),
    "the same with a clear colour": (
        gif(SIZE, BOX, [7, 9] * 300, PALETTE, transparent=9),
        framed_by_white(np.tile([PALETTE[7], (255, 255, 255)], (20, 15, 1))),
    ),
    "gif that draws over its canvas": (
        gif((20, 20), (0, 0, *SIZE), [3] * WIDTH * HEIGHT, PALETTE),
        np.full((HEIGHT, WIDTH, 3), PALETTE[3]),
    ),
    "webp with alpha": (
        saved(np.dstack([DRAWN, ALPHA]), "WEBP", lossless=True, exact=True),
        on_white(DRAWN, ALPHA),
    ),
    "tiff with alpha": (saved(np.dstack([DRAWN, ALPHA]), "TIFF"), on_white(DRAWN, ALPHA)),
    "tiff of 16 bits": (cv2.imencode(".tiff", DEEP[:, :, ::-1])[1].tobytes(), DRAWN),
    "tiff of 16 bits of grey": (saved(DEEP[:, :, 0], "TIFF"), grey(GREY)),
    "tiff in cmyk": (saved(DRAWN, "TIFF", "CMYK"), DRAWN),
    "tiff whose zero is white": (tiff(*SIZE, GREY.tobytes(), (262, 3, 1, 0)), grey(255 - GREY)),
    "the same of 16 bits": (
        tiff(*SIZE, DEEP[:, :, 0].astype("<u2").tobytes(), (258, 3, 1, 16), (262, 3, 1, 0)),
        grey(255 - GREY),
    ),
    "bmp": (bmp(*SIZE, 24, PADDED[::-1].tobytes()), DRAWN),
    "bmp from the top": (bmp(WIDTH, -HEIGHT, 24, PADDED.tobytes()), DRAWN),
    "bmp of 32 bits without alpha": (
        bmp(*SIZE, 32, np.dstack([BLUE_FIRST, ALPHA])[::-1].tobytes()),
        DRAWN,
    ),
    "bmp in runs": (bmp(*SIZE, 8, RUNS * HEIGHT + b"\0\1", 1, BMP_TABLE), RUN_COLOURS),
    "jpeg 2000 with alpha": (saved(np.dstack([DRAWN, ALPHA]), "JPEG2000"), on_white(DRAWN, ALPHA)),
    "jpeg 2000 of 16 bits": (saved(DEEP[:, :, 0], "JPEG2000"), grey(GREY)),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_picture_without_loss_is_what_its_bits_say(name: str) -> None:
    content, expected = OTHERS[name]
    assert np.array_equal(stored(content), expected)


def test_colours_multiplied_by_their_alpha_are_not_multiplied_again() -> None:
    tags = ((258, 3, 1, 8), (262, 3, 1, 2), (277, 3, 1, 4), (338, 3, 1, 1))
    found = stored(tiff(*SIZE, MULTIPLIED.tobytes(), *tags))
    assert np.abs(found - on_white(DRAWN, ALPHA)).max() <= 1  # of rounding twice


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "GIF"])
def test_of_an_animation_the_first_frame_is_shown(kind: str) -> None:
    found = stored(frames(kind))
    apart = [np.abs(found - pixels(seed=n)).mean() for n in range(3)]
    assert apart[0] < 10 < min(apart[1:])


@pytest.mark.parametrize("bits", [10, 12])
def test_an_avif_of_more_bits_is_as_bright_as_one_of_eight(bits: int) -> None:
    deep = (BLUE_FIRST.astype(np.uint32) * ((1 << bits) - 1) // 255).astype(np.uint16)
    how = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 95]
    found = stored(cv2.imencode(".avif", deep, how)[1].tobytes())
    assert np.abs(found.mean(axis=(0, 1)) - DRAWN.mean(axis=(0, 1))).max() < 2


# 16 x 16 of grey 77, its codes arithmetic (T.81, annex D), as libjpeg-turbo's cjpeg writes them.
ARITHMETIC = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb00430003020203020203030303040303040508050504"
    "04050a070706080c0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f1718161418121415"
    "14ffc9000b080010001001011100ffcc000600101005ffda0008010100003f00ff00d8f820ffd9"
)


def test_an_arithmetic_jpeg_is_decoded() -> None:
    found = stored_picture(
        ARITHMETIC, Ingestion(min_image_size=16, encode_format="png", encode_quality=1)
    )
    with Image.open(io.BytesIO(found.content)) as image:
        assert np.abs(np.asarray(image).astype(int) - 77).max() <= 1
