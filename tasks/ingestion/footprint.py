"""What a process costs beside its work: memory that was freed, searches for garbage, pandas."""

import ctypes
import gc
import sys

ALLOCATIONS = 50_000  # between searches for cycles; a shard's tasks and rows are in none


def own() -> None:
    """Make this process, which does nothing but ingest, a light one; call it once, early."""
    if not any(isinstance(finder, _NoPandas) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NoPandas())
    gc.freeze()
    gc.set_threshold(ALLOCATIONS)
    gc.enable()


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


class _NoPandas:
    """Says that there is no pandas.

    pyarrow imports it, where there is one, only to see that a list is no Series of it: half a
    second of CPU and 50 MB a process.
    """

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("an ingest process does without pandas", name=name)
