"""Any number of rows in the order of their keys, in bounded memory.

What does not fit is spread over files by the next two digits of its key, and each file is sorted
by itself, in the same way. Keys are hashes, so the files are about equal.
"""

import pickle
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tasks.disk import writable

Row = tuple[Any, ...]  # of texts and bytes; its first item is the key

KEY_DIGITS = 20
DIGITS_A_LEVEL = 2
# Of what is held in memory at once: a row costs about 700 bytes beside its characters.
MAX_ROWS = 50_000
MAX_CHARS = 32_000_000


def in_key_order(rows: Iterable[Row], folder: Path, digits: int = 0) -> Iterator[Row]:
    """Yield rows in the order of their keys, those of one key in the order they came.

    Args:
        rows: whose keys agree in their first `digits` digits.
        folder: for what does not fit in memory; what is put there is removed as it is read.
        digits: how many digits of the keys are used up.

    Raises:
        LakeError: no space is left in `folder`.
    """
    if digits >= KEY_DIGITS:  # all have the same key
        yield from rows
        return
    spilled: set[Path] = set()
    held: list[Row] = []
    chars = 0
    for row in rows:
        held.append(row)
        chars += sum(map(len, row))
        if len(held) >= MAX_ROWS or chars >= MAX_CHARS:
            spilled |= _spill(held, folder, digits)
            held, chars = [], 0
    if not spilled:
        yield from sorted(held, key=lambda row: row[0])
        return
    spilled |= _spill(held, folder, digits)
    held = []
    for file in sorted(spilled):
        yield from in_key_order(_read(file), folder, digits + DIGITS_A_LEVEL)


def _spill(held: list[Row], folder: Path, digits: int) -> set[Path]:
    """Append rows to the file of their next digits; return the files."""
    end = digits + DIGITS_A_LEVEL
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in held:
        parts[row[0][:end]].append(row)
    for name, part in parts.items():
        with writable(str(folder)), (folder / name).open("ab") as file:
            pickle.dump(part, file)
    return {folder / name for name in parts}


def _read(file: Path) -> Iterator[Row]:
    with file.open("rb") as opened:
        size = file.stat().st_size
        while opened.tell() < size:
            yield from pickle.load(opened)
    file.unlink()
