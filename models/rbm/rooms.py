"""Memory that a thread uses again and again, for results that no one keeps."""

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
