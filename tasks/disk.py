"""What every write to a disk needs: durability, and its two common failures as one line each."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from tasks.errors import LakeError


@contextlib.contextmanager
def writable(root: str) -> Iterator[None]:
    """Turn the two failures of a disk a person can mend into one line each."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LakeError(
                f"no space left under {root}; what was being written has been removed and what is "
                "committed is whole: free some space and run the same command again"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise LakeError(
                f"cannot write under {root} ({error.strerror}); give CAPLIFT_LAKE a folder this "
                "user may write to"
            ) from error
        raise


def make_durable(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power loss."""
    # Without the fsync a power loss may leave a renamed file empty.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
