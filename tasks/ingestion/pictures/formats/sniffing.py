"""Which kind of file a body is, by its first bytes; what a server calls it is no guide."""

import codecs
import re

from tasks.ingestion.pictures.header import NotStorableError
from tasks.rows import Outcome

LOOKED_AT = 1024  # bytes in which a text shows itself
MOSTLY = 0.7
UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # byte-order marks
SVG_WITHIN = 4096  # licences and editors' comments may come before <svg
DECODED = (
    (b"\xff\xd8\xff\xf7", ""),  # JPEG-LS, named below
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
)
UNSUPPORTED = (
    (b"\xff\xd8\xff\xf7", "jpeg-ls"),
    (b"%!PS", "eps"),
    (b"\xc5\xd0\xd3\xc6", "eps"),
    (b"8BPS", "psd"),
    (b"qoif", "qoi"),
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
    (b"%PDF", "pdf"),
    (b"\x00\x00\x01\x00", "ico"),
    (b"\x00\x00\x02\x00", "cur"),
    (b"icns", "icns"),
    (b"\x1aE\xdf\xa3", "webm"),
    (b"II\xbc", "jpeg-xr"),
    (b"II+\0", "bigtiff"),
    (b"MM\0+", "bigtiff"),
    (b"BPG\xfb", "bpg"),
    (b"FLIF", "flif"),
    (b"DDS ", "dds"),
    (b"v/1\x01", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"gimp xcf", "xcf"),
    (b"\x8aMNG\r\n\x1a\n", "mng"),
    (b"\x8bJNG\r\n\x1a\n", "jng"),
    (b"AT&TFORM", "djvu"),
    (b"\xd7\xcd\xc6\x9a", "wmf"),
    (b"FWS", "flash"),
    (b"CWS", "flash"),
    (b"\x59\xa6\x6a\x95", "sun raster"),
)
OTHER = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a rar archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"OggS", "an ogg file"),
    (b"ID3", "an mp3 file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3", "a database"),
)
HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)  # what stands for a version in BMP


def format_of(content: bytes) -> str:
    """Return the name of a format that is decoded, such as "jpeg".

    Raises:
        NotStorableError: empty, no picture, or of a kind that is not decoded, which is named.
    """
    if not content:
        raise NotStorableError(Outcome.EMPTY_BODY, "no bytes at all")
    name = _decoded_format(content)
    if name:
        return name
    _refuse_by_magic(content)
    _refuse_text(content)
    raise NotStorableError(Outcome.UNKNOWN_FORMAT, "no known picture format")


def _decoded_format(content: bytes) -> str:
    for magic, name in DECODED:
        if content.startswith(magic):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    if content[:2] == b"BM" and int.from_bytes(content[14:18], "little") in BMP_HEADER_SIZES:
        return "bmp"
    return "avif" if content[4:8] == b"ftyp" and _brands(content) & {b"avif", b"avis"} else ""


def _refuse_by_magic(content: bytes) -> None:
    for magic, name in UNSUPPORTED:
        if content.startswith(magic):
            raise _unsupported(name)
    for magic, name in OTHER:
        if content.startswith(magic):
            raise NotStorableError(Outcome.NOT_AN_IMAGE, f"{name}, not a picture")
    if content[4:8] == b"ftyp":
        raise _unsupported("heic" if _brands(content) & HEIF_BRANDS else "mp4")
    if re.match(rb"P[1-7]\s", content):
        raise _unsupported("pnm")


def _brands(content: bytes) -> set[bytes]:
    """Return what an ISO file says it can be read as (ISO/IEC 14496-12, section 4.3)."""
    end = min(int.from_bytes(content[:4], "big"), 256)
    return {content[at : at + 4] for at in (8, *range(16, end, 4))}


def _unsupported(name: str) -> NotStorableError:
    return NotStorableError(Outcome.UNSUPPORTED_FORMAT, f"{name} is not decoded")


def _refuse_text(content: bytes) -> None:
    if content.startswith(UTF_16):
        content = content[:SVG_WITHIN].decode("utf-16", "replace").encode()
    start = content[:SVG_WITHIN].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").lower()
    if start.startswith(b"<") and b"<svg" in start and b"<html" not in start:
        raise _unsupported("svg")
    if start.startswith(b"<"):
        raise NotStorableError(Outcome.NOT_AN_IMAGE, "a page, not a picture")
    # Only control characters that no text has tell bytes from a text of any encoding.
    looked = content[:LOOKED_AT]
    if any(byte < 9 or 13 < byte < 27 or 27 < byte < 32 for byte in looked):
        return
    if _is_utf_8(looked, is_cut=len(content) > LOOKED_AT) or _is_mostly_ascii(looked):
        raise NotStorableError(Outcome.NOT_AN_IMAGE, "a text, not a picture")


def _is_utf_8(looked: bytes, *, is_cut: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(looked, final=not is_cut)
    except UnicodeDecodeError:
        return False
    return True


def _is_mostly_ascii(looked: bytes) -> bool:
    """True for a text of Western Europe in one of its older encodings."""
    return len(looked) > 8 and sum(byte < 128 for byte in looked) > MOSTLY * len(looked)
