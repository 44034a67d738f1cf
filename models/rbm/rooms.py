"""How results are kept near: memory that a thread uses again, and tensors a piece at a time."""

import threading

import torch
from torch import Tensor

_THREAD = threading.local()


def room_for(what: str, count: int, dtype: torch.dtype) -> Tensor:
    """Return (count,) of this thread's memory, shared by all who ask for the same.

    A core's cache may still hold it, from one side of a machine to the other.
    """
    room: Tensor | None = _THREAD.__dict__.get(what)
    if room is None or len(room) < count:
        # Born in inference mode it could not be written to once that is left.
        with torch.inference_mode(False):
            room = _THREAD.__dict__[what] = torch.empty(count, dtype=dtype)
    return room[:count]


def pieces(whole: Tensor, rows: int) -> tuple[Tensor, ...]:
    """Split into so many rows each; one piece is itself, as small machines have no time to lose."""
    return (whole,) if len(whole) <= rows else torch.split(whole, rows)
