"""Batches of white rows out of files larger than memory, in an order of (seed, epoch) alone.

Each epoch reads the row groups in an order of its own. Rows stream into a window of bounded size,
are shuffled in it, and leave it as batches; so the batch of an update is a function of the seed
and the update's number, and a run that was stopped goes on with the very rows that were next. What
fits into one window is read once and stays.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.rbm.preparing import Prepared
from tasks.vectors import SIDES, VectorFiles


class Batches:
    """The rows that each update learns from.

    An epoch has every row once; its last batch is as short as it comes.

    Args:
        files: where the vectors are.
        prepared: which rows are learnt from, and the whitener.
        batch_size: rows of an update; all rows where there are fewer.
        window: rows held at a time, rounded down to whole batches.
        seed: of all orders.
        like: of what type and where the white rows are.
    """

    def __init__(
        self,
        files: VectorFiles,
        prepared: Prepared,
        *,
        batch_size: int,
        window: int,
        seed: int,
        like: Tensor,
    ) -> None:
        self.files, self.learnt, self.seed, self.like = files, prepared.learnt, seed, like
        ends = np.cumsum(files.group_rows)
        self.places = list(zip(ends - files.group_rows, ends, strict=True))
        self.group_counts = np.array([int(self.learnt[a:b].sum()) for a, b in self.places])
        self.count = int(self.group_counts.sum())
        self.size = min(batch_size, self.count)
        self.window = max(window // self.size, 1) * self.size
        whitener = prepared.whitener
        self.mean = whitener.mean.to(like.device)
        self.map = (whitener.cut @ whitener.mix).to(like.device)
        self.rows = like.new_empty((min(self.window, self.count), whitener.n_kept))
        self.held: tuple[int, int] | None = None  # the epoch and number of the window in `rows`
        self.order = torch.empty(0, dtype=torch.int64)
        self.stream: Iterator[Tensor] | None = None
        self.rest = like.new_empty((0, whitener.n_kept))

    @property
    def per_epoch(self) -> int:
        """Updates of an epoch."""
        return -(-self.count // self.size)

    def at(self, update: int) -> Tensor:
        """Return the white rows (n, K) of update number `update`, counted from 0.

        Raises:
            LakeError: a file is missing or damaged.
        """
        epoch, place = divmod(update, self.per_epoch)
        number, start = divmod(place * self.size, self.window)
        if self.held != (epoch, number):
            self._turn(epoch, number)
        return self.rows[self.order[start : start + self.size]]

    def _turn(self, epoch: int, number: int) -> None:
        """Fill the window with the rows of the `number`-th one of an epoch, and shuffle it."""
        count = min(self.window, self.count - number * self.window)
        if self.count > self.window or self.held is None:
            goes_on = number > 0 and self.held == (epoch, number - 1)
            if self.stream is None or not goes_on:
                self.stream = self._white_rows(epoch, number * self.window)
                self.rest = self.rest[:0]
            self._fill(count)
        self.held = (epoch, number)
        order = _generator(self.seed, epoch, number).permutation(count)
        self.order = torch.from_numpy(order).to(self.like.device)

    def _fill(self, count: int) -> None:
        assert self.stream is not None
        filled = 0
        while filled < count:
            piece = self.rest if len(self.rest) else next(self.stream)
            taken = piece[: count - filled]
            self.rows[filled : filled + len(taken)] = taken
            filled += len(taken)
            self.rest = piece[len(taken) :]

    def _white_rows(self, epoch: int, skipped: int) -> Iterator[Tensor]:
        """Yield an epoch's rows in order from the one after `skipped` on."""
        groups: NDArray[Any] = np.arange(len(self.places))
        if self.count > self.window:  # else all are read at once, in the order that they lie in
            groups = _generator(self.seed, epoch).permutation(groups)
        ends = np.cumsum(self.group_counts[groups])
        first = int(np.searchsorted(ends, skipped, side="right"))
        skipped -= int(ends[first - 1]) if first else 0
        for group in groups[first:]:
            at, _ = self.places[group]
            for piece in self.files.pieces(int(group), SIDES):
                mask = self.learnt[at : at + len(piece.pairs)]
                at += len(piece.pairs)
                chosen = piece.pairs[torch.from_numpy(mask)][skipped:]
                skipped -= int(mask.sum()) - len(chosen)
                white = (chosen.to(self.like.device).double() - self.mean) @ self.map
                yield white.to(self.like.dtype)


def _generator(*seeds: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seeds)))
