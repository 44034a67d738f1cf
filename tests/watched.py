"""A disk that notes which threads read its files, under `watched://`.

A thread that holds a Python object when the interpreter ends aborts the process: the command has
done its work and said so, and its exit code is -6. pyarrow's own threads are such threads.
"""

import contextlib
import threading
from collections.abc import Iterator
from io import FileIO
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem


@contextlib.contextmanager
def reading_threads() -> Iterator[set[int]]:
    """Give the set of threads that have read a file of `watched://` within."""
    readers: set[int] = set()

    class Noting(FileIO):
        def readinto(self, buffer: Any, /) -> int:
            readers.add(threading.get_ident())
            return super().readinto(buffer)

        def read(self, size: int | None = -1, /) -> bytes:
            readers.add(threading.get_ident())
            return super().read(-1 if size is None else size)

    class Watched(LocalFileSystem):
        protocol = "watched"
        cachable = False

        def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
            return Noting(self._strip_protocol(path), mode)

    fsspec.register_implementation("watched", Watched, clobber=True)
    yield readers
