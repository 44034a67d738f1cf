"""Memory that was freed, given back to the system."""

import ctypes
import sys


def trim() -> None:
    """Give back what the C library keeps of freed memory.

    Bodies of every size come and go beside what stays, so the heap is full of holes: over TLS a
    process kept 45 MB of them. Costs some milliseconds; does nothing where there is no glibc.
    """
    if sys.platform != "linux":
        return
    trim_heap = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim_heap is not None:
        trim_heap(0)
