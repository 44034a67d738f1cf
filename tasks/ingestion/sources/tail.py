"""Whether an archive ends where its last record does: FastWARC ends without a word at a cut."""

import os
import re
import zlib
from typing import IO

from tasks.ingestion.sources.places import open_bytes

GZIP = b"\x1f\x8b"
MAX_HEAD = 64 << 10
STEP = 1 << 20
LENGTH = re.compile(rb"\r\nContent-Length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)


def check_tail(path: str, position: int) -> None:
    """Make sure that nothing but the last record stands at the end of an archive.

    Args:
        path: of a .warc or .wat, .gz or not.
        position: of the last record that was read, in bytes.

    Raises:
        ValueError: the file is cut off, or what follows is no record.
    """
    with open_bytes(path) as file:
        file.seek(position)
        start = file.read(2)
        file.seek(position)
        if start == GZIP:
            rest = _after_member(file, position)
        elif start == b"WA":
            rest = _after_record(file, position)
        else:  # a file that is compressed in one piece; zlib's sum guards its end
            return
    if rest.strip(b"\0\r\n\t "):
        raise ValueError(f"what follows the record at byte {position} is damaged or cut off")


def _after_member(file: IO[bytes], position: int) -> bytes:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    waiting = b""
    while not unpacker.eof:
        if not waiting and not (waiting := file.read(STEP)):
            raise ValueError(f"the record at byte {position} is cut off")
        unpacker.decompress(waiting, STEP)
        waiting = unpacker.unconsumed_tail
    return unpacker.unused_data[:STEP] + file.read(STEP)


def _after_record(file: IO[bytes], position: int) -> bytes:
    head, blank, _ = file.read(MAX_HEAD).partition(b"\r\n\r\n")
    length = LENGTH.search(head + b"\r\n")
    size = file.seek(0, os.SEEK_END)
    if not blank or not length or position + len(head + blank) + int(length[1]) > size:
        raise ValueError(f"the record at byte {position} is cut off")
    file.seek(position + len(head + blank) + int(length[1]))
    return file.read(STEP)
