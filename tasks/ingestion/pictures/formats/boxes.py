"""What the boxes of an ISO base media file (ISO/IEC 14496-12) say of an AVIF."""

from tasks.ingestion.pictures.header import NotStorableError
from tasks.rows import Outcome

# libavif refuses more and calls it a damaged file.
MOST_PIXELS = 16384 * 16384


def is_cut(content: bytes) -> bool:
    """Return whether the last box promises more bytes than there are."""
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size < 8:  # to the end of the file, or a size of 64 bits
            return False
        at += size
    return at > len(content)


def check_av1_size(content: bytes) -> None:
    """Refuse an AVIF by the largest size it speaks of.

    Raises:
        NotStorableError: it is more than its decoder opens.
    """
    at = content.find(b"ispe")
    while at >= 0:
        width, height = (int.from_bytes(content[at + n : at + n + 4], "big") for n in (8, 12))
        if width * height > MOST_PIXELS:
            said = f"{width} x {height} is over {MOST_PIXELS} pixels"
            raise NotStorableError(Outcome.TOO_MANY_PIXELS, said)
        at = content.find(b"ispe", at + 4, content.find(b"mdat", at))


def av1_depth(content: bytes) -> int:
    """Return the bits a channel, 10 or 12, of what has more than 8 (AV1-ISOBMFF, section 2.3.3)."""
    flags = content[content.find(b"av1C") + 6]
    return 12 if flags & 0x20 else 10
