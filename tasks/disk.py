"""Disks: durable writes, their two common failures as one line each, and what a folder holds."""

import contextlib
import errno
import hashlib
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
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise LakeError(
                f"no space left under {root} ({error.strerror}); what was being written has been "
                "removed and what is committed is whole: free some space and run the same command "
                "again"
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


def folder_digest(folder: Path) -> str:
    """Return the sha256 of the names and bytes of all files below a folder, as hex."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\0".encode())
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
