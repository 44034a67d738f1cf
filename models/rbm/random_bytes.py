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
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from models.rbm.rooms import room_for

ROWS = 1024  # of one set of A and B
ACROSS, DOWN = 32, 8  # B's and A's at most
PIECE = 2**17  # units whose every intermediate result stays in a core's cache
TABLE = 2**17
STRIDES = 32
WIDEST = TABLE - 2 * STRIDES * ROWS  # a row that fits into the table, wherever it starts
TABLE_SEED = 8


class Bytes:
    """Bytes (N, U) for at most `ROWS` rows, told some rows at a time.

    Everything that can be is made here, once: a draw is short beside the calls that it takes.

    Attributes:
        together: how many rows are told at a time.
    """

    def __init__(self, rows: int, width: int) -> None:
        self._ours: tuple[Tensor, ...] = ()
        if rows * width <= PIECE:
            self.together, self._stride = rows, width
            self._fresh = mixed = room_for("bytes", -(-rows * width // 8), torch.int64)
            told = mixed.view(torch.uint8)[: rows * width].view(rows, width)
        else:
            most = min(DOWN, -(-rows * width // PIECE))
            each = -(-rows // (ACROSS * most))
            across = min(ACROSS, -(-rows // each))
            self.together, self._stride = each * across, 0
            down, words = -(-rows // self.together), each * -(-width // 8)
            room = room_for("bytes", (down + 2 * across) * words, torch.int64).view(-1, words)
            self._fresh, mixed = room[: down + across], room[down + across :]
            self._ours, self._theirs = self._fresh[:down].unbind(), self._fresh[down:]
            told = mixed.view(torch.uint8).view(self.together, -1)[:, :width]
        self._mixed = mixed
        pieces = max(len(self._ours), 1)
        last = rows - (pieces - 1) * self.together
        # All in one place.
        self._told = [told] * (pieces - 1) + [told[:last]]
        self._signed = [one.view(torch.int8) for one in self._told]

    def spare(self, number: int, width: int) -> list[tuple[Tensor, ...]]:
        """Return room for `number` results a row of every piece, `number` of (n, width) each."""
        size = number, self.together, width
        room = room_for("results", math.prod(size), torch.float32).view(size)
        return [room[:, : len(told)].unbind() for told in self._told]

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


@functools.cache
def table_of(scale: float) -> Tensor:
    """`TABLE` numbers in random order, evenly spread from 0 to `scale`, twice over."""
    order = torch.randperm(TABLE, generator=torch.Generator().manual_seed(TABLE_SEED))
    # Below 1 after rounding, also as what follows a byte of 255.
    spread = ((order.double() + 0.5) / TABLE).clamp_(max=1 - 2**-15)
    return (scale * spread).float().repeat(2)
