"""Bytes become an upright sRGB picture of three channels, or an outcome that says why not."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from tasks.ingestion.images import stored_picture
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome
from tests.drawn import HEIGHT, WIDTH, decoded, encoded, pixels, turned

HOW = Ingestion()
JPEG = encoded(quality=95)


def chunk(kind: bytes, body: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + crc


def bomb() -> bytes:
    """A PNG whose header promises 60,000 x 60,000 pixels in a hundred bytes."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 64))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def icon_of(png: bytes) -> bytes:
    """An icon whose directory says 64 x 64 of whatever PNG is inside."""
    return struct.pack("<HHH8BII", 0, 1, 1, 64, 64, 0, 0, 1, 0, 32, 0, len(png), 22) + png


def with_chunk(kind: bytes, body: bytes) -> bytes:
    """A sound PNG with one more chunk after its header."""
    png = encoded("PNG")
    after_header = 8 + 25  # signature, then IHDR: length, name, 13 bytes, checksum
    return png[:after_header] + chunk(kind, body) + png[after_header:]


def animation(kind: str) -> bytes:
    frames = [Image.fromarray(pixels(seed=n)) for n in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def with_hole() -> bytes:
    """A JPEG with a torn middle and a whole end."""
    middle = len(JPEG) // 2
    return JPEG[:middle] + b"\xff\xd9" * 3 + JPEG[-2:]


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (b"<!doctype html><html><body>not found</body></html>", Outcome.NOT_AN_IMAGE),
        (b"\x00" * 500, Outcome.UNKNOWN_FORMAT),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Outcome.UNSUPPORTED_FORMAT),
        (b"%PDF-1.7 ...", Outcome.UNSUPPORTED_FORMAT),
        (b"%!PS-Adobe-3.0 EPSF-3.0", Outcome.UNSUPPORTED_FORMAT),
        (JPEG[: len(JPEG) // 2], Outcome.TRUNCATED),
        (encoded("PNG")[:-300], Outcome.TRUNCATED),
        (bomb(), Outcome.TOO_MANY_PIXELS),
        (icon_of(bomb()), Outcome.UNSUPPORTED_FORMAT),
        (b"", Outcome.EMPTY_BODY),
        (JPEG[:3], Outcome.TRUNCATED),
        (b'{"error": "no such picture"}', Outcome.NOT_AN_IMAGE),
        (b"\0\0\0\x18ftypheic" + bytes(64), Outcome.UNSUPPORTED_FORMAT),
    ],
    ids=[
        "page",
        "zeros",
        "svg",
        "pdf",
        "eps",
        "half-jpeg",
        "half-png",
        "bomb",
        "bomb-in-icon",
        "empty",
        "three-bytes",
        "json",
        "heic",
    ],
)
def test_what_is_no_sound_picture_is_named_for_what_it_is(content: bytes, outcome: Outcome) -> None:
    found = stored_picture(content, HOW)
    assert found.outcome is outcome
    assert found.content == b""
    assert found.message


def test_a_torn_jpeg_is_never_stored_half_grey() -> None:
    assert stored_picture(with_hole(), HOW).outcome in (Outcome.TRUNCATED, Outcome.CORRUPT)


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


def test_transparency_lies_on_white() -> None:
    drawn = np.dstack([pixels(), np.zeros((HEIGHT, WIDTH), np.uint8)])
    buffer = io.BytesIO()
    Image.fromarray(drawn, "RGBA").save(buffer, "PNG")
    assert decoded(stored_picture(buffer.getvalue(), HOW).content).min() >= 250


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG")
    stored = decoded(stored_picture(buffer.getvalue(), HOW).content)
    assert abs(int(stored[HEIGHT // 2, WIDTH // 2, 0]) - 127) < 6


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_kept_and_the_frames_are_counted(kind: str) -> None:
    found = stored_picture(animation(kind), HOW)
    assert found.outcome is Outcome.KEPT
    assert found.columns["n_frames"] == 3
    # GIF has 256 colours: frame 0 is near, frames 1 and 2 are other pictures.
    apart = [np.abs(decoded(found.content).astype(int) - pixels(seed=n)).mean() for n in range(3)]
    assert apart[0] < 10 < min(apart[1:])


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


def swapped_profile() -> bytes:
    """A colour profile, not called sRGB, whose red primary is sRGB's blue and the other way."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    parted = profile.replace(b"rXYZ", b"tmp!").replace(b"bXYZ", b"rXYZ")
    return parted.replace(b"tmp!", b"bXYZ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_colours_are_what_the_profile_means_by_them(kind: str) -> None:
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8) + np.array([230, 40, 60], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(red).save(buffer, kind, icc_profile=swapped_profile())
    stored = decoded(stored_picture(buffer.getvalue(), HOW).content)
    assert np.abs(stored[HEIGHT // 2, WIDTH // 2].astype(int) - [60, 40, 230]).max() < 8


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_of_colour_keep_their_colours_and_lie_on_white(channels: int) -> None:
    deep = pixels()[:, :, ::-1].astype(np.uint16) * 257  # OpenCV writes blue first
    if channels == 4:
        deep = np.dstack([deep, np.zeros((HEIGHT, WIDTH), np.uint16)])
    stored = decoded(stored_picture(cv2.imencode(".png", deep)[1].tobytes(), HOW).content)
    expected = pixels().astype(int) if channels == 3 else 255
    assert np.abs(stored - expected).mean() < 5


def test_a_damaged_colour_profile_costs_the_profile_and_not_the_picture() -> None:
    found = stored_picture(encoded(icc_profile=b"no profile at all", quality=95), HOW)
    assert found.outcome is Outcome.KEPT


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
