"""GIF: its canvas, and where and how often it draws (GIF89a specification, 1990)."""

from collections.abc import Iterator

from tasks.ingestion.pictures.header import MOST_FRAMES, Header, NotStorableError
from tasks.rows import Outcome

Box = tuple[int, int, int, int]


def read_gif(content: bytes) -> Header:
    """Describe a GIF; a first frame that reaches over the canvas widens it, as viewers do.

    Raises:
        NotStorableError: it ends before its first frame.
    """
    frames = 0
    first: Box | None = None
    for box in _frames(content):
        first = first or box
        frames += 1
        if frames == MOST_FRAMES:
            break
    if first is None:
        raise NotStorableError(Outcome.TRUNCATED, "the GIF ends before its first frame")
    left, top, width, height = first
    return Header(
        format="gif",
        mode="P",
        width=max(_number(content, 6), left + width),
        height=max(_number(content, 8), top + height),
        n_frames=frames,
        is_animated=frames > 1,
    )


def first_frame_box(content: bytes) -> Box:
    """Return where the first frame of a GIF that has one lies: left, top, width and height."""
    return next(_frames(content))


def _frames(content: bytes) -> Iterator[Box]:
    """Yield the box of each frame: left, top, width and height in pixels."""
    at = 13 + _table(content, 10)
    while at < len(content):
        kind = content[at]
        if kind == 0x21:  # an extension
            at = _after_blocks(content, at + 2)
        elif kind == 0x2C and at + 10 <= len(content):
            left, top, width, height = (_number(content, at + offset) for offset in (1, 3, 5, 7))
            yield left, top, width, height
            at = _after_blocks(content, at + 11 + _table(content, at + 9))
        elif kind == 0:  # stray ends of blocks are common
            at += 1
        else:  # the trailer, or what is no GIF any more
            return


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "little")


def _table(content: bytes, at: int) -> int:
    """Return the bytes of the colour table that the flags at `at` promise."""
    flags = content[at] if at < len(content) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(content: bytes, at: int) -> int:
    while at < len(content) and content[at]:
        at += 1 + content[at]
    return at + 1
