"""TIFF's directories (TIFF 6.0, section 2): how many pages, and whether all their bytes came."""

from collections.abc import Iterator
from typing import Literal

MOST_PAGES = 1000  # counted
BYTE_COUNTS = (279, 325)  # of strips and of tiles
SHORT = 3  # the type of a number of two bytes; four otherwise


def tiff_pages(content: bytes) -> int:
    """Return the pages, of which the first is kept; a circle of pages ends the count."""
    return max(sum(1 for _ in _directories(content)), 1)


def tiff_is_cut(content: bytes) -> bool:
    """Return whether the first page promises more bytes than there are."""
    order = _order(content)
    at = int.from_bytes(content[4:8], order)
    entries = int.from_bytes(content[at : at + 2], order)
    if at + 2 + 12 * entries > len(content):
        return True
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        if int.from_bytes(content[entry : entry + 2], order) in BYTE_COUNTS:
            return _total(content, entry, order) > len(content)
    return False


def _total(content: bytes, entry: int, order: Literal["little", "big"]) -> int:
    """Return the sum of a directory entry's numbers."""
    size = 2 if int.from_bytes(content[entry + 2 : entry + 4], order) == SHORT else 4
    count = int.from_bytes(content[entry + 4 : entry + 8], order)
    at = entry + 8
    if count * size > 4:
        at = int.from_bytes(content[at : at + 4], order)
    end = min(at + count * size, len(content))
    return sum(int.from_bytes(content[n : n + size], order) for n in range(at, end, size))


def _directories(content: bytes) -> Iterator[int]:
    order = _order(content)
    at = int.from_bytes(content[4:8], order)
    seen: set[int] = set()
    while 0 < at < len(content) and at not in seen and len(seen) < MOST_PAGES:
        seen.add(at)
        yield at
        entries = int.from_bytes(content[at : at + 2], order)
        next_at = at + 2 + 12 * entries
        at = int.from_bytes(content[next_at : next_at + 4], order)


def _order(content: bytes) -> Literal["little", "big"]:
    return "little" if content[:2] == b"II" else "big"
