"""Every kind of body that a web of pictures sends ends with the outcome it is named for.

The cases are those of pages in place of pictures, of files that are cut, damaged or bombs, and of
formats that are not decoded; each is made here, byte by byte where no encoder makes it.
"""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from tasks.ingestion.pictures.images import stored_picture
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome
from tests.crafted import (
    at_frame,
    bmp,
    boxes,
    chunk,
    chunks_of,
    frames,
    gif,
    patched,
    png,
    riff,
    saved,
    segment,
    tiff,
    with_segments,
)
from tests.drawn import HEIGHT, WIDTH, pixels

DRAWN = pixels()
ROWS = b"".join(b"\0" + row.tobytes() for row in DRAWN)
SIZE = (WIDTH, HEIGHT)
PALETTE = [(2 * n, 255 - n, n) for n in range(128)]

JPEG = saved(DRAWN, "JPEG", quality=95)
PHOTO = saved(np.random.default_rng(2).integers(0, 256, (499, 601, 3), dtype=np.uint8), "JPEG")
PROGRESSIVE = saved(DRAWN, "JPEG", quality=95, progressive=True)
SCANS = [at for at in range(len(PROGRESSIVE)) if PROGRESSIVE[at : at + 2] == b"\xff\xda"]
LAST_SCAN = PROGRESSIVE[SCANS[-1] : -2]
PNG = png(SIZE, 8, 2, ROWS)
IDAT = PNG.find(b"IDAT")
IDAT_SIZE = int.from_bytes(PNG[IDAT - 4 : IDAT], "big")
WEBP = saved(DRAWN, "WEBP", quality=90)
VP8 = chunks_of(WEBP)[0][1]
AVIF = saved(DRAWN, "AVIF", quality=90)
JP2 = saved(DRAWN, "JPEG2000")
TIFF = saved(DRAWN, "TIFF")
GIF = gif(SIZE, (0, 0, *SIZE), [7] * WIDTH * HEIGHT, PALETTE)
BMP = saved(DRAWN, "BMP")
MUCH = zlib.compress(bytes(1 << 25))
LARGE = struct.pack(">II", 65535, 65535)


def with_wrong_sum() -> bytes:
    """A PNG whose pixels do not add up, though each chunk does."""
    packed = bytearray(PNG[IDAT + 4 : IDAT + 4 + IDAT_SIZE])
    packed[-1] ^= 1
    return PNG[: IDAT - 4] + chunk(b"IDAT", bytes(packed)) + chunk(b"IEND", b"")


SOUND = {
    "jpeg": JPEG,
    "progressive": PROGRESSIVE,
    "jpeg without its end mark": JPEG[:-2],
    "progressive without its end mark": PROGRESSIVE[:-2],
    "jpeg and zeros": JPEG + bytes(99),
    "jpeg padded before its end": JPEG[:-2] + bytes(99) + JPEG[-2:],
    "progressive jpeg padded to its end": PROGRESSIVE[:-2] + bytes(99),
    "jpeg and a zip archive": JPEG + b"PK\3\4" * 25,
    "jpeg after a thumbnail": with_segments(JPEG, segment(0xE1, b"Exif\0\0" + JPEG)),
    "jpeg of two pictures": frames("MPO"),
    "jpeg with damaged EXIF": with_segments(JPEG, segment(0xE1, b"Exif\0\0" + b"\xff" * 60)),
    "jpeg with 3 MB of EXIF": with_segments(
        JPEG, *[segment(0xE1, b"Exif\0\0" + bytes(65_000))] * 50
    ),
    "jpeg with 3 MB of profile": with_segments(
        JPEG,
        *[segment(0xE2, b"ICC_PROFILE\0" + bytes((n + 1, 50)) + bytes(65_000)) for n in range(50)],
    ),
    "jpeg with a profile in wrong parts": with_segments(
        JPEG, segment(0xE2, b"ICC_PROFILE\0\x03\x02" + bytes(99))
    ),
    "jpeg with a broken profile": saved(DRAWN, "JPEG", icc_profile=b"no profile at all"),
    "png": PNG,
    "png without its end": PNG[:-12],
    "png and bytes behind it": PNG + b"PK\3\4" * 25,
    "png with a text bomb": png(SIZE, 8, 2, ROWS, chunk(b"zTXt", b"a\0\0" + MUCH)),
    "png with a profile bomb": png(SIZE, 8, 2, ROWS, chunk(b"iCCP", b"a\0\0" + MUCH)),
    "png whose text's checksum fails": png(
        SIZE, 8, 2, ROWS, patched(chunk(b"tEXt", b"a\0b"), 11, b"oops")
    ),
    "gif without its trailer": GIF[:-1],
    "gif of no canvas": gif((0, 0), (0, 0, *SIZE), [7] * WIDTH * HEIGHT, PALETTE),
    "webp and bytes behind it": WEBP + b"x" * 99,
    "webp with a chunk nobody knows": riff(*chunks_of(WEBP), (b"JUNK", b"x" * 33)),
    "tiff of five pages": frames("TIFF"),
    "tiff in lzw": saved(DRAWN, "TIFF", compression="tiff_lzw"),
    "tiff in cmyk": saved(DRAWN, "TIFF", "CMYK"),
    "fax": saved(DRAWN, "TIFF", "1", compression="group4"),
    "avif": AVIF,
    "jpeg 2000": JP2,
    "jpeg 2000 without boxes": JP2[JP2.find(b"\xff\x4f\xff\x51") :],
    "bmp": BMP,
}

REFUSED = {
    "no bytes": (b"", Outcome.EMPTY_BODY),
    "page": (b"<!DOCTYPE html><html><body>gone</body></html>", Outcome.NOT_AN_IMAGE),
    "page behind a byte-order mark": (b"\xef\xbb\xbf\r\n <HTML><svg>", Outcome.NOT_AN_IMAGE),
    "page in utf-16": ("<html><p>gone".encode("utf-16"), Outcome.NOT_AN_IMAGE),
    "words in latin-1": ("Accès refusé, désolé".encode("latin-1"), Outcome.NOT_AN_IMAGE),
    "svg in utf-16": ("<svg/>".encode("utf-16"), Outcome.UNSUPPORTED_FORMAT),
    "xml": (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", Outcome.NOT_AN_IMAGE),
    "json": (b'{"error": "no such picture"}', Outcome.NOT_AN_IMAGE),
    "words": ("Zugriff verweigert, später wieder".encode() * 99, Outcome.NOT_AN_IMAGE),
    "words that begin like a bmp": (b"BMW is a maker of cars, no bitmap", Outcome.NOT_AN_IMAGE),
    "zip": (b"PK\x03\x04" + bytes(99), Outcome.NOT_AN_IMAGE),
    "zeros": (bytes(500), Outcome.UNKNOWN_FORMAT),
    "random": (np.random.default_rng(5).bytes(4096), Outcome.UNKNOWN_FORMAT),
    "two bytes of a jpeg": (JPEG[:2], Outcome.UNKNOWN_FORMAT),
    "svg": (b"<?xml version='1.0'?><!-- by hand --><svg/>", Outcome.UNSUPPORTED_FORMAT),
    "heic": (boxes(b"heic", b"mif1"), Outcome.UNSUPPORTED_FORMAT),
    "heif": (boxes(b"mif1", b"heic"), Outcome.UNSUPPORTED_FORMAT),
    "mp4": (boxes(b"isom", b"mp42"), Outcome.UNSUPPORTED_FORMAT),
    "jxl": (b"\xff\x0a" + bytes(99), Outcome.UNSUPPORTED_FORMAT),
    "jxl in boxes": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), Outcome.UNSUPPORTED_FORMAT),
    "ico": (b"\0\0\1\0\1\0" + bytes(99), Outcome.UNSUPPORTED_FORMAT),
    "pdf": (b"%PDF-1.7", Outcome.UNSUPPORTED_FORMAT),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0", Outcome.UNSUPPORTED_FORMAT),
    "psd": (b"8BPS" + bytes(99), Outcome.UNSUPPORTED_FORMAT),
    "jpeg-ls": (b"\xff\xd8\xff\xf7" + bytes(99), Outcome.UNSUPPORTED_FORMAT),
    "12-bit jpeg": (patched(JPEG, at_frame(JPEG) + 4, b"\x0c"), Outcome.UNSUPPORTED_FORMAT),
    "lossless jpeg": (patched(JPEG, at_frame(JPEG) + 1, b"\xc3"), Outcome.UNSUPPORTED_FORMAT),
    "hierarchical jpeg": (patched(JPEG, at_frame(JPEG) + 1, b"\xc5"), Outcome.UNSUPPORTED_FORMAT),
    "tiff of floats": (
        saved(DRAWN[:, :, 0].astype(np.float32), "TIFF"),
        Outcome.UNSUPPORTED_FORMAT,
    ),
    "jpeg in tiff": (saved(DRAWN, "TIFF", compression="jpeg"), Outcome.UNSUPPORTED_FORMAT),
    "half a jpeg": (JPEG[: len(JPEG) // 2], Outcome.TRUNCATED),
    "19 of 20 bytes of a jpeg": (JPEG[: len(JPEG) * 19 // 20], Outcome.TRUNCATED),
    "three bytes of a jpeg": (JPEG[:3], Outcome.TRUNCATED),
    "jpeg without scans": (JPEG[: JPEG.find(b"\xff\xda")], Outcome.TRUNCATED),
    "half a progressive jpeg": (PROGRESSIVE[: len(PROGRESSIVE) // 2], Outcome.TRUNCATED),
    "progressive jpeg of three scans": (PROGRESSIVE[: SCANS[3]], Outcome.TRUNCATED),
    "the same, mended": (PROGRESSIVE[: SCANS[3]] + b"\xff\xd9", Outcome.TRUNCATED),
    "grey scan of a colour jpeg": (
        patched(JPEG, JPEG.find(b"\xff\xda") + 4, b"\x01"),
        Outcome.TRUNCATED,
    ),
    "half a header of a png": (PNG[:20], Outcome.TRUNCATED),
    "cut png": (PNG[:-300], Outcome.TRUNCATED),
    "cut gif": (GIF[:-300], Outcome.TRUNCATED),
    "gif without frames": (GIF[: 13 + 384], Outcome.TRUNCATED),
    "cut webp": (WEBP[: len(WEBP) // 2], Outcome.TRUNCATED),
    "cut animated webp": (frames("WEBP")[:-100], Outcome.TRUNCATED),
    "cut bmp": (BMP[:-300], Outcome.TRUNCATED),
    "cut tiff": (TIFF[:-500], Outcome.TRUNCATED),
    "tiff without pages": (TIFF[:8], Outcome.TRUNCATED),
    "cut avif": (AVIF[:-50], Outcome.TRUNCATED),
    "half an avif": (AVIF[: len(AVIF) // 2], Outcome.TRUNCATED),
    "cut jpeg 2000": (JP2[:-100], Outcome.TRUNCATED),
    "jpeg with zeros for a sector": (patched(PHOTO, len(PHOTO) // 2, bytes(512)), Outcome.CORRUPT),
    "jpeg with zeros for its last sector": (
        PHOTO[:-514] + bytes(512) + PHOTO[-2:],
        Outcome.CORRUPT,
    ),
    "jpeg with another sector": (
        patched(PHOTO, len(PHOTO) // 2, PHOTO[len(PHOTO) // 3 :][:512]),
        Outcome.CORRUPT,
    ),
    "jpeg without a sector": (
        PHOTO[: len(PHOTO) // 2] + PHOTO[len(PHOTO) // 2 + 512 :],
        Outcome.CORRUPT,
    ),
    "end marks amid a scan": (patched(JPEG, len(JPEG) // 2, b"\xff\xd9" * 3), Outcome.CORRUPT),
    "two jpegs in one": (JPEG[:-2] + JPEG[2:], Outcome.CORRUPT),
    "jpeg of two hundred scans": (
        PROGRESSIVE[:-2] + LAST_SCAN * 200 + b"\xff\xd9",
        Outcome.CORRUPT,
    ),
    "png with a wrong checksum": (patched(PNG, IDAT + 4 + IDAT_SIZE, b"oops"), Outcome.CORRUPT),
    "png with a wrong header checksum": (patched(PNG, 29, b"oops"), Outcome.CORRUPT),
    "png of half its rows": (png(SIZE, 8, 2, ROWS[: len(ROWS) // 2]), Outcome.CORRUPT),
    "the same without its end": (
        png(SIZE, 8, 2, ROWS[: len(ROWS) // 2])[:-12],
        Outcome.TRUNCATED,
    ),
    "png with a wrong sum": (with_wrong_sum(), Outcome.CORRUPT),
    "png of too few rows": (png(SIZE, 8, 2, ROWS[:-202]), Outcome.CORRUPT),
    "png with a bomb behind its rows": (png(SIZE, 8, 2, ROWS + bytes(1 << 25)), Outcome.CORRUPT),
    "png of no such depth": (png(SIZE, 3, 2, ROWS), Outcome.CORRUPT),
    "png without its palette": (png(SIZE, 8, 3, ROWS), Outcome.CORRUPT),
    "png with a chunk one must know": (png(SIZE, 8, 2, ROWS, chunk(b"ABCD", b"")), Outcome.CORRUPT),
    "gif of too few pixels": (gif(SIZE, (0, 0, *SIZE), [7] * 600, PALETTE), Outcome.CORRUPT),
    "webp of a cut chunk": (riff((b"VP8 ", VP8[: len(VP8) // 2])), Outcome.CORRUPT),
    "webp of nothing": (riff(), Outcome.CORRUPT),
    "avif with a flipped bit": (
        patched(AVIF, len(AVIF) - 100, bytes((AVIF[-100] ^ 64,))),
        Outcome.CORRUPT,
    ),
    "bmp runs that end early": (
        bmp(WIDTH, HEIGHT, 8, b"\x09\x01" * 9, 1, bytes(1024)),
        Outcome.CORRUPT,
    ),
    "jpeg of no pixels": (patched(JPEG, at_frame(JPEG) + 5, bytes(4)), Outcome.CORRUPT),
    "png of no pixels": (png((0, HEIGHT), 8, 2, ROWS), Outcome.CORRUPT),
    "tiff of no pixels": (tiff(0, 0, bytes(300)), Outcome.CORRUPT),
    "one pixel": (saved(DRAWN[:1, :1], "GIF"), Outcome.TOO_SMALL),
    "eight pixels a side": (saved(DRAWN[:8, :8], "JPEG"), Outcome.TOO_SMALL),
    "a rule": (saved(np.zeros((10, 4000, 3), np.uint8), "PNG"), Outcome.ASPECT_RATIO),
}

# A side of 65,535 pixels or more, and next to none behind it.
BOMBS = {
    "jpeg": patched(JPEG, at_frame(JPEG) + 5, b"\xff" * 4),
    "progressive": patched(PROGRESSIVE, at_frame(PROGRESSIVE) + 5, b"\xff" * 4),
    "png": png((65535, 65535), 8, 2, ROWS),
    "png of 2 ** 32 - 1": png((2**32 - 1, 2**32 - 1), 8, 2, ROWS),
    "gif": gif((65535, 65535), (0, 0, 9, 9), [7] * 81, PALETTE),
    "webp": riff((b"VP8 ", patched(VP8, 6, b"\xff\x3f" * 2))),
    "webp by its canvas": riff((b"VP8X", bytes(4) + b"\xff" * 6), (b"VP8 ", VP8)),
    "bmp": bmp(65535, 65535, 24, bytes(99)),
    "tiff": tiff(65535, 65535, bytes(300)),
    "avif": patched(AVIF, AVIF.find(b"ispe") + 8, LARGE),
    "jpeg 2000": patched(JP2, JP2.find(b"ihdr") + 4, LARGE),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_picture_is_kept_whatever_is_odd_about_it(name: str) -> None:
    found = stored_picture(SOUND[name], Ingestion(image_size=40))
    assert found.outcome is Outcome.KEPT, found.message
    with Image.open(io.BytesIO(found.content)) as image:
        image.load()
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (62, 40))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_for_what_it_is(name: str) -> None:
    content, outcome = REFUSED[name]
    found = stored_picture(content, Ingestion())
    assert (found.outcome, found.content) == (outcome, b""), found.message
    assert found.message


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_from_its_header(name: str) -> None:
    tracemalloc.start()
    found = stored_picture(BOMBS[name], Ingestion())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.outcome is Outcome.TOO_MANY_PIXELS
    assert peak < 1 << 20


@pytest.mark.parametrize("name", ["svg", "heic", "jxl", "ico", "pdf", "psd", "12-bit jpeg"])
def test_a_format_that_is_not_decoded_is_named(name: str) -> None:
    assert stored_picture(REFUSED[name][0], Ingestion()).message == f"{name} is not decoded"


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_is_dropped_where_that_is_the_policy(kind: str) -> None:
    found = stored_picture(frames(kind), Ingestion(animated="drop"))
    assert found.outcome is Outcome.ANIMATED
    assert found.message == "an animation of 3 frames"
    assert found.columns["n_frames"] == 3


@pytest.mark.parametrize("kind", ["TIFF", "MPO"])
def test_the_pages_of_a_document_are_no_animation(kind: str) -> None:
    found = stored_picture(frames(kind), Ingestion(animated="drop"))
    assert found.outcome is Outcome.KEPT
    assert found.columns["n_frames"] == 3


def test_a_gif_of_a_million_frames_is_counted_to_ten_thousand() -> None:
    tiny = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    found = stored_picture(GIF[:-1] + tiny * 1_000_000 + b";", Ingestion())
    assert (found.outcome, found.columns["n_frames"]) == (Outcome.KEPT, 10_000)


@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
def test_no_flipped_byte_of_the_pixels_is_missed(kind: str) -> None:
    """JPEG and WebP have neither checksums nor codes in which this would show."""
    noise = np.random.default_rng(7).integers(0, 256, (211, 301, 3), dtype=np.uint8)
    sound = saved(noise, kind)
    how = Ingestion(encode_format="png", encode_quality=1)
    expected = stored_picture(sound, how).content
    start = sound.find({"PNG": b"IDAT", "AVIF": b"mdat"}[kind]) + 20
    for at in np.random.default_rng(3).integers(start, len(sound) - 20, 60):
        found = stored_picture(patched(sound, at, bytes((sound[at] ^ 0x5A,))), how)
        assert found.outcome is not Outcome.KEPT or found.content == expected
