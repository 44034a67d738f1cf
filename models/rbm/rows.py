"""What rows a machine can learn from: bad ones are told by number and reason, or left out.

N rows of V columns. Values that are not finite, not of the machine's kind, or of another width
would spoil parameters in silence; here they are one clear line.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

NAMED = 5  # row numbers a message lists
ONE_HOT_WITHIN = 1e-4

OnBad = Literal["raise", "drop"]


@dataclass(frozen=True, slots=True)
class Screened:
    """Rows that can be learnt from, and the numbers of those that could not."""

    rows: Tensor
    dropped: tuple[int, ...] = ()


def screened(
    rows: Tensor,
    visible: str,
    width: int,
    *,
    categories: int = 0,
    on_bad: OnBad = "raise",
    like: Tensor | None = None,
) -> Screened:
    """Return the rows that a machine of this kind and width can learn from.

    Args:
        rows: (N, V), of any real dtype.
        visible: the kind of the machine's visible units.
        width: V of the machine.
        categories: of softmax groups.
        on_bad: "drop" leaves out rows that hold NaN or infinite values; values of the wrong kind
            mean that the whole table is something else, and are refused either way.
        like: whose dtype and device rows are taken to first; what is beyond float32's range is
            infinite there.

    Raises:
        ValueError: no rows, another width or dtype, or values that cannot be learnt from.
    """
    _refuse_other_shape(rows, width)
    if like is not None:
        rows = rows.detach().to(like)
    low, high = (float(end) for end in torch.aminmax(rows))  # NaN comes through
    dropped: tuple[int, ...] = ()
    if not abs(low) + abs(high) < float("inf"):
        bad = ~torch.isfinite(rows).all(-1)
        dropped = tuple(torch.nonzero(bad).flatten().tolist())
        if on_bad == "raise" or len(dropped) == len(rows):
            raise ValueError(
                f"{len(dropped)} of {len(rows)} rows hold NaN or infinite values "
                f"({_numbers(bad)}); drop them first"
            )
        rows = rows[~bad]
        low, high = (float(end) for end in torch.aminmax(rows))
    if visible != "gaussian" and not 0 <= low <= high <= 1:
        raise ValueError(
            f"{visible.capitalize()} visibles are probabilities from 0 to 1, these go from "
            f"{low:.9g} to {high:.9g}; scale them, or use gaussian visibles"
        )
    if visible == "softmax":
        _refuse_partial_groups(rows, categories)
    return Screened(rows, dropped)


def constant_columns(rows: Tensor) -> Tensor:
    """Return which columns hold one value in all rows, bool (V,)."""
    return (rows == rows[:1]).all(0)


def _refuse_other_shape(rows: object, width: int) -> None:
    if not isinstance(rows, Tensor):
        kind = f"{type(rows).__name__} of {getattr(rows, 'dtype', 'no dtype')}"
        raise ValueError(f"rows are a tensor of real numbers (N, {width}), got a {kind}")
    if rows.dim() != 2 or rows.is_complex():
        raise ValueError(
            f"rows are a tensor of real numbers (N, {width}), got one of shape "
            f"{tuple(rows.shape)} and {rows.dtype}"
        )
    if rows.shape[1] != width:
        raise ValueError(
            f"rows have {rows.shape[1]} columns, this machine has {width} visible units; were the "
            "embeddings exported by another model, or whitened by another run?"
        )
    if not len(rows):
        raise ValueError("there are no rows to learn from")


def _refuse_partial_groups(rows: Tensor, categories: int) -> None:
    total = rows.reshape(len(rows), -1, categories).sum(-1)
    bad = ((total - 1).abs() > ONE_HOT_WITHIN).any(-1)
    if bool(bad.any()):
        raise ValueError(
            f"each group of {categories} softmax columns sums to 1; {int(bad.sum())} of "
            f"{len(rows)} rows do not ({_numbers(bad)}); are they one-hot, in groups of "
            f"{categories}?"
        )


def _numbers(bad: Tensor) -> str:
    """List the first few row numbers."""
    found = torch.nonzero(bad).flatten().tolist()
    told = ", ".join(str(number) for number in found[:NAMED])
    return f"row {told}" if len(found) <= NAMED else f"rows {told}, ..."
