"""Bytes -> a header, by the format that their first bytes show."""

from collections.abc import Callable, Mapping

from tasks.ingestion.pictures.formats.gif import read_gif
from tasks.ingestion.pictures.formats.jpeg import read_jpeg
from tasks.ingestion.pictures.formats.pillow import read_with_pillow
from tasks.ingestion.pictures.formats.png import read_png
from tasks.ingestion.pictures.formats.sniffing import format_of
from tasks.ingestion.pictures.formats.webp import read_webp
from tasks.ingestion.pictures.header import Header, NotStorableError
from tasks.rows import Outcome

LONGEST = 2**31 - 1

# The formats of nearly all pictures, read here in microseconds; Pillow reads the others.
READERS: Mapping[str, Callable[[bytes], Header]] = {
    "jpeg": read_jpeg,
    "png": read_png,
    "gif": read_gif,
    "webp": read_webp,
}


def read_header(content: bytes) -> Header:
    """Describe a picture from its first bytes.

    Raises:
        NotStorableError: it is no picture, or of a kind that is not stored.
    """
    kind = format_of(content)
    reader = READERS.get(kind)
    header = reader(content) if reader else read_with_pillow(content, kind)
    if max(header.width, header.height) > LONGEST:
        said = f"{header.width} x {header.height} pixels, and no column holds such a side"
        raise NotStorableError(Outcome.TOO_MANY_PIXELS, said)
    return header
