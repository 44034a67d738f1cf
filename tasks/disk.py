"""Disks: durable writes, their two common failures as one line each, and what a folder holds."""

import contextlib
import errno
import hashlib
import os
import socket
import uuid
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


def part_name(name: str) -> str:
    """Return a name of this process's own for a file that is being written as `name`."""
    return f".{name}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part"


def remove_orphans(folder: Path) -> None:
    """Remove the parts in a folder whose process on this machine is no more."""
    here = socket.gethostname()
    for part in folder.glob(".*.part"):
        host, _, process = part.name.removesuffix(".part").rpartition(".")[0].rpartition(".")
        if host.endswith(f".{here}") and process.isdecimal() and not _is_running(int(process)):
            part.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # no Linux
        return True
    return state != "Z"  # ended, and its parent has not asked how


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
