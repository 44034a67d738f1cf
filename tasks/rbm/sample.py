"""A bounded sample of rows that are read once, and prints by which a picture is known again."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.vectors import ROWS_AT_ONCE, Piece


class Sample:
    """At most `most` rows: those whose keys come first in an order that says nothing of them."""

    def __init__(self, most: int, width: int) -> None:
        self.most = most
        self.pairs = np.empty((2 * most + ROWS_AT_ONCE, 2 * width), dtype=np.float32)
        self.places = np.empty(len(self.pairs), dtype=np.int64)
        self.prints = np.empty(len(self.pairs), dtype=np.uint64)
        self.held = 0

    def add(self, piece: Piece, prints: NDArray[np.uint64], which: NDArray[np.bool_]) -> None:
        """Take those rows of a piece into the running."""
        end = self.held + int(which.sum())
        self.pairs[self.held : end] = piece.pairs.numpy()[which]
        self.prints[self.held : end] = prints[which]
        # Other digits than those the split is made by.
        chosen = (piece.keys[at] for at in np.flatnonzero(which))
        self.places[self.held : end] = [int(key[12:20], 16) for key in chosen]
        self.held = end
        if self.held > 2 * self.most:
            self._cut()

    def leave_out(self, known: NDArray[np.uint64]) -> None:
        """Let go of the rows whose picture has one of these prints."""
        self._keep(np.flatnonzero(~np.isin(self.prints[: self.held], known)))

    def rows(self) -> Tensor:
        """Return the rows that came first, float32 (n, 2 E)."""
        self._cut()
        return torch.from_numpy(self.pairs[: self.held].copy())

    def pictures(self) -> Tensor:
        """Return one number a row, the same for rows of one picture, int64 (n,)."""
        self._cut()
        return torch.from_numpy(self.places[: self.held].copy())

    def _cut(self) -> None:
        self._keep(np.argsort(self.places[: self.held], kind="stable")[: self.most])

    def _keep(self, which: NDArray[np.int64]) -> None:
        self.held = len(which)
        for column in (self.pairs, self.places, self.prints):
            column[: self.held] = column[which]


def picture_prints(piece: Piece, width: int) -> NDArray[np.uint64]:
    """Return a number a row, the same where the picture's vector is the same bit for bit."""
    bits = piece.pairs[:, :width].contiguous().numpy().view(np.uint32).astype(np.uint64)
    generator = np.random.Generator(np.random.Philox(width))
    # Odd factors: vectors that differ in one place never meet, others as good as never.
    factors = 2 * generator.integers(0, 2**63, size=width, dtype=np.uint64) + 1
    return np.asarray((bits * factors).sum(1, dtype=np.uint64))
