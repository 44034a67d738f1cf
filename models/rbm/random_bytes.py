"""Random numbers for draws on a CPU: a byte each, and what follows it from a table.

What follows the byte is read from a table of evenly spread numbers in random order, from a fresh
place and by a fresh stride: a probability is met to 1e-7, and two draws depend on each other only
where the same number of the table and the same byte decide for both.

More than `PIECE` bytes come in groups of rows: group (i, j) takes A_i xor B_j of fresh A and B. All
bytes of a row are independent, and so are those of any three rows: every chain is right by itself,
and means over chains vary as they should, for a sixth to a third of the bytes. Four rows need not
be: the bytes of (i, j), (i', j), (i, j') and (i', j') have an xor of 0.
"""

import functools
import threading
from collections.abc import Iterator

import torch
from torch import Tensor

ROWS = 1024  # of one set of A and B
ACROSS, DOWN = 32, 8  # B's and A's at most
PIECE = 2**17  # units whose every intermediate result stays in a core's cache
TABLE = 2**17
STRIDES = 32
WIDEST = TABLE - 2 * STRIDES * ROWS  # a row that fits into the table, wherever it starts
TABLE_SEED = 8
SHAPES_KEPT = 4  # by each thread: what its chains' two sides need, twice


class Bytes:
    """Bytes (N, U) for at most `ROWS` rows, told some rows at a time, in memory of its own.

    Everything that can be is made here, once: a draw is short beside the calls that it takes.

    Attributes:
        together: how many rows are told at a time.
    """

    def __init__(self, rows: int, width: int) -> None:
        words = -(-width // 8)
        if rows * width <= PIECE:
            self._fresh = mixed = torch.empty(-(-rows * width // 8), dtype=torch.int64)
            self._ours, self.together, self._stride = (), rows, width
            told = mixed.view(torch.uint8)[: rows * width].view(rows, width)
        else:
            most = min(DOWN, -(-rows * width // PIECE))
            each = -(-rows // (ACROSS * most))
            across = min(ACROSS, -(-rows // each))
            self.together = each * across
            down = -(-rows // self.together)
            self._fresh = torch.empty(down + across, each * words, dtype=torch.int64)
            self._ours, self._theirs = self._fresh[:down].unbind(), self._fresh[down:]
            mixed, self._stride = torch.empty_like(self._theirs), 0
            told = mixed.view(torch.uint8).view(self.together, -1)[:, :width]
        self._mixed = mixed
        pieces = max(len(self._ours), 1)
        last = rows - (pieces - 1) * self.together
        # All in one place.
        self._told = [told] * (pieces - 1) + [told[:last]]
        self._signed = [one.view(torch.int8) for one in self._told]
        self._spare: dict[tuple[int, int], list[tuple[Tensor, ...]]] = {}

    def spare(self, number: int, width: int) -> list[tuple[Tensor, ...]]:
        """Return room for `number` results a row of every piece, `number` of (n, width) each.

        All pieces, and all calls, share the memory, which a core's cache may still hold.
        """
        if (number, width) not in self._spare:
            room = torch.empty(number, self.together, width)
            self._spare[number, width] = [room[:, : len(told)].unbind() for told in self._told]
        return self._spare[number, width]

    def told(
        self, generator: torch.Generator, *, signed: bool = False
    ) -> Iterator[tuple[Tensor, int, int]]:
        """Yield bytes (n, U), with where the table goes on and its stride from row to row."""
        start, extra = torch.randint(TABLE, (2,), generator=generator).tolist()
        self._fresh.random_(-(2**63), None, generator=generator)
        views = self._signed if signed else self._told
        if not self._ours:
            yield views[0], start, self._stride
            return
        stride = STRIDES + extra % STRIDES
        for ours, view in zip(self._ours, views, strict=True):
            torch.bitwise_xor(ours, self._theirs, out=self._mixed)
            yield view, start, stride
            start += self.together * stride


_THREAD = threading.local()


def bytes_of(rows: int, width: int) -> Bytes:
    """Return this thread's memory for bytes (rows, width)."""
    kept: dict[tuple[int, int], Bytes] = _THREAD.__dict__.setdefault("kept", {})
    found = kept.get((rows, width))
    if found is None:
        if len(kept) == SHAPES_KEPT:
            del kept[next(iter(kept))]
        kept[rows, width] = found = Bytes(rows, width)
    return found


@functools.cache
def table_of(scale: float) -> Tensor:
    """`TABLE` numbers in random order, evenly spread from 0 to `scale`, twice over."""
    order = torch.randperm(TABLE, generator=torch.Generator().manual_seed(TABLE_SEED))
    # Below 1 after rounding, also as what follows a byte of 255.
    spread = ((order.double() + 0.5) / TABLE).clamp_(max=1 - 2**-15)
    return (scale * spread).float().repeat(2)
