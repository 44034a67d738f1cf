"""Picture files made byte by byte, for what no encoder at hand writes."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from tests.drawn import pixels

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def saved(array: NDArray[Any], kind: str, mode: str = "", **how: Any) -> bytes:
    """Pixels as a file of a kind, through Pillow."""
    buffer = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(buffer, kind, **how)
    return buffer.getvalue()


def frames(kind: str) -> bytes:
    """A file of three pictures, `pixels` of seeds 0 to 2: an animation, or pages."""
    buffer = io.BytesIO()
    first, *others = (Image.fromarray(pixels(seed=n)) for n in range(3))
    first.save(buffer, kind, save_all=True, append_images=others)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + crc


def png(
    size: tuple[int, int], depth: int, colour: int, rows: bytes, *extra: bytes, interlace: int = 0
) -> bytes:
    """A PNG of filtered rows: each begins with its filter's number."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlace)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"".join([PNG_SIGNATURE, chunk(b"IHDR", header), *extra, data, chunk(b"IEND", b"")])


def segment(marker: int, body: bytes) -> bytes:
    """A JPEG's segment with its length."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with more segments behind its first marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def at_frame(jpeg: bytes) -> int:
    """Where the frame header of a JPEG begins: its marker SOF0 or SOF2."""
    return next(
        at
        for mark in (b"\xff\xc0\0\x11", b"\xff\xc2\0\x11", b"\xff\xc0\0\x0b", b"\xff\xc0\0\x14")
        if (at := jpeg.find(mark)) > 0
    )


def patched(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def gif(
    canvas: tuple[int, int],
    box: tuple[int, int, int, int],
    indices: Sequence[int],
    palette: Sequence[tuple[int, int, int]],
    transparent: int | None = None,
) -> bytes:
    """A GIF of one frame at (left, top, width, height), of at most 128 colours."""
    table = b"".join(bytes(colour) for colour in palette).ljust(3 * 128, b"\0")
    control = b"" if transparent is None else b"\x21\xf9\x04\x01\0\0" + bytes((transparent, 0))
    return b"".join(
        [
            b"GIF89a",
            struct.pack("<HHBBB", *canvas, 0x80 | 6, 0, 0),
            table,
            control,
            b"\x2c",
            struct.pack("<HHHHB", *box, 0),
            _uncompressed_lzw(indices),
            b";",
        ]
    )


def _uncompressed_lzw(indices: Sequence[int]) -> bytes:
    """Codes of eight bits that never grow: a clear code before the table would."""
    codes: list[int] = []
    for n, index in enumerate(indices):
        codes += [128, index] if n % 100 == 0 else [index]
    packed = bytes([*codes, 129])
    blocks = [packed[at : at + 255] for at in range(0, len(packed), 255)]
    return b"\x07" + b"".join(bytes((len(block),)) + block for block in blocks) + b"\0"


def bmp(
    width: int, height: int, bits: int, data: bytes, compression: int = 0, tables: bytes = b""
) -> bytes:
    """A BMP; a negative height puts the top row first. `tables`: masks or the palette (BGR0)."""
    start = 14 + 40 + len(tables)
    colours = len(tables) // 4 if bits <= 8 else 0
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, colours, 0
    )
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + tables + data


def boxes(brand: bytes, *compatible: bytes) -> bytes:
    """The first box of an ISO file, as HEIC, AVIF and MP4 begin, and some bytes more."""
    body = b"ftyp" + brand + b"\0\0\0\0" + b"".join(compatible)
    return struct.pack(">I", 4 + len(body)) + body + bytes(64)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of chunks."""
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
        for kind, payload in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunks_of(webp: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a WebP."""
    found, at = [], 12
    while at < len(webp):
        size = struct.unpack("<I", webp[at + 4 : at + 8])[0]
        found.append((webp[at : at + 4], webp[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return found


def tiff(width: int, height: int, data: bytes, *more: tuple[int, int, int, int]) -> bytes:
    """A TIFF of one strip of 8-bit grey at byte 200; `more` tags: number, type, count and value."""
    tags = {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, 8),
        259: (3, 1, 1),
        262: (3, 1, 1),
        273: (4, 1, 200),
        277: (3, 1, 1),
        278: (4, 1, height),
        279: (4, 1, len(data)),
    } | {number: (kind, count, value) for number, kind, count, value in more}
    entries = b"".join(struct.pack("<HHII", number, *tags[number]) for number in sorted(tags))
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0") + data
