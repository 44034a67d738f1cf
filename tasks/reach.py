"""Object stores that cannot be reached or used, as one line each.

Every library of a store raises errors of its own kind, in the middle of any read or write; what
they share is where they come from.
"""

import contextlib
from collections.abc import Iterator

from tasks.errors import LakeError

# What fsspec opens s3://, gs:// and az:// with, and what those stand upon.
LIBRARIES = (
    *("aiobotocore.", "aiohttp.", "botocore.", "s3fs."),
    *("gcsfs.", "google.api_core.", "google.auth.", "google.cloud."),
    *("adlfs.", "azure."),
)
LONGEST = 300  # characters of somebody else's words


def store_trouble(error: BaseException) -> str:
    """Return what a store's library says in an error or in its cause, in one line; else nothing."""
    found = _of_store(error) or (error.__cause__ and _of_store(error.__cause__))
    # One that is not there is an answer, and whoever asked for it says what is missing.
    if not found or isinstance(error, FileNotFoundError):
        return ""
    said = " ".join(str(found).split())[:LONGEST] or type(found).__name__
    return (
        f"the object store cannot be reached or refuses ({said}); check its address, the network "
        "and this machine's credentials for it. What is committed stays: run the same command again"
    )


def _of_store(error: BaseException) -> BaseException | None:
    return error if f"{type(error).__module__}.".startswith(LIBRARIES) else None


@contextlib.contextmanager
def openable(root: str) -> Iterator[None]:
    """Turn what fsspec says of an address that nothing installed here opens into one line."""
    try:
        yield
    except (ImportError, ValueError) as error:
        raise LakeError(
            f"{root} cannot be opened ({error}); an address is a folder, s3://, gs:// or az://, "
            "and these need s3fs, gcsfs or adlfs beside fsspec: pip install the one that is named"
        ) from error
