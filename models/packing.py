"""Padded texts without their padding: what works a token at a time works for real tokens alone.

N sequences of at most L tokens, of which M are real, W width. Captions are short and one of a batch
is long: half the places of a padded batch are padding. Sorting texts into groups of like length
would save less (each group still pads) and copies the keys of its images; this copies the texts.
"""

from typing import Self

from torch import Tensor


class Packing:
    """Where the real tokens of N padded sequences are; without padding everything stays as it is.

    Every sequence begins with a real token.
    """

    def __init__(self, real: Tensor | None = None) -> None:
        """Take bool (N, L), true on real tokens; None says that all are."""
        self._shape = (0, 0) if real is None else (real.shape[0], real.shape[1])
        self._places: Tensor | None = None
        if real is not None:
            self._places = real.flatten().nonzero()[:, 0]
            lengths = real.sum(dim=1)
            self._starts = lengths.cumsum(0) - lengths

    @classmethod
    def up_to_last(cls, wanted: Tensor) -> Self:
        """Pack what comes up to the last true place of each row, bool (N, L)."""
        return cls(wanted.flip(1).cummax(dim=1).values.flip(1))

    def packed(self, x: Tensor) -> Tensor:
        """Turn (N, L, W) into (M, W)."""
        return x if self._places is None else x.flatten(0, 1).index_select(0, self._places)

    def padded(self, x: Tensor) -> Tensor:
        """Turn (M, W) into (N, L, W), zero where there is padding."""
        if self._places is None:
            return x
        rows, length = self._shape
        whole = x.new_zeros(rows * length, x.shape[-1])
        return whole.index_copy(0, self._places, x).reshape(rows, length, -1)

    def firsts(self, x: Tensor) -> Tensor:
        """Turn (M, W) into token 0 of every sequence, (N, 1, W)."""
        return x[:, :1] if self._places is None else x.index_select(0, self._starts)[:, None]


UNPADDED = Packing()
