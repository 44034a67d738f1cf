"""The files that a person names: one, all of a folder, or what a pattern matches, on any store.

The door to fsspec for what lies outside the lake.
"""

import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TypeVar

import fsspec
from fsspec.core import has_magic, url_to_fs

from tasks.errors import InputError

Item = TypeVar("Item")

TABLES = (".parquet", *(f"{s}{gz}" for gz in ("", ".gz") for s in (".csv", ".tsv", ".txt")))
TABLES += tuple(f"{s}{gz}" for gz in ("", ".gz") for s in (".json", ".jsonl", ".ndjson"))
ARCHIVES = (".warc", ".warc.gz", ".wat", ".wat.gz")
PAGES = (".html", ".htm", ".xhtml")
# What reading a file of a person's can end with: it is missing, damaged, not in UTF-8, a .gz that
# ends early or is none (OSError, EOFError, zlib.error); its address has an unknown protocol
# (ValueError), or one whose library is not installed (ImportError).
UNREADABLE = (OSError, EOFError, zlib.error, ValueError, ImportError)


def kind_of(place: str) -> str:
    """Return what a place is to be read as: "tables", "archives" or "pages".

    A folder is what all of its files are; one of several kinds, and what is no file, is pages.
    """
    kinds = {"tables": TABLES, "archives": ARCHIVES}
    for kind, suffixes in kinds.items():
        if named(place).endswith(suffixes):
            return kind
    try:
        names = _found(place, ("",))
    except UNREADABLE:
        return "pages"
    for kind, suffixes in kinds.items():
        if names and all(named(name).endswith(suffixes) for name in names):
            return kind
    return "pages"


def named(place: str) -> str:
    """Return a place in lower case without the query of a web address, for its suffix."""
    is_web = place.startswith(("http://", "https://"))
    return (place.partition("?")[0] if is_web else place).lower()


def files_of(place: str, suffixes: Sequence[str]) -> list[str]:
    """Return the files of a place in order; in a folder those that begin with . or _ are left out.

    Args:
        place: a path or fsspec URL of a file, of a folder, or with *, ? or [ in it.
        suffixes: what the names in a folder end in, in lower case.

    Raises:
        InputError: there is no such file, or none in the folder, or the store cannot be asked.
    """
    try:
        found = _found(place, suffixes)
    except UNREADABLE as error:
        raise InputError(f"{place} cannot be read ({one_line(error)})") from error
    if not found:
        raise InputError(
            f"{place} does not exist or holds nothing that can be read; it is a file, a folder or "
            f"a pattern with * of files in {' '.join(suffixes)}"
        )
    return found


def _found(place: str, suffixes: Sequence[str]) -> list[str]:
    if place.startswith(("http://", "https://")):  # a ? there is no pattern, and nothing is listed
        return [place]
    store, path = url_to_fs(place)
    if store.isfile(path):
        return [place]
    if store.isdir(path):
        listed = [name for name in store.find(path) if name.lower().endswith(tuple(suffixes))]
    else:
        listed = list(store.glob(path)) if has_magic(path) else []
    names = [name for name in listed if not name.rsplit("/", 1)[-1].startswith((".", "_"))]
    return sorted(names if "file" in store.protocol else map(store.unstrip_protocol, names))


def open_bytes(path: str) -> IO[bytes]:
    """Open a file of any store for reading."""
    opened: IO[bytes] = fsspec.open(path, "rb").open()
    return opened


def open_text(path: str, *, is_packed: bool) -> IO[str]:
    """Open a file of any store as its UTF-8 text, out of gzip where it is packed in that."""
    packed = "gzip" if is_packed else None
    opened = fsspec.open(path, "rb", compression=packed).open()
    return io.TextIOWrapper(opened, encoding="utf-8-sig", newline="")


def reading(
    what: str,
    path: str,
    read: Callable[[str], Iterable[Item]],
    damage: tuple[type[Exception], ...] = (),
) -> Iterator[Item]:
    """Yield what `read` gives of a file; say its failures in one line.

    Args:
        what: the file is, such as "URL table".
        path: of the file.
        read: gives its rows or records one by one.
        damage: errors of `read` that mean a damaged file, beside UNREADABLE.

    Raises:
        InputError: the file is missing or damaged, or what `read` raises.
    """
    count = 0
    try:
        for item in read(path):
            count += 1
            yield item
    except FileNotFoundError as error:
        raise InputError(f"the {what} {path} does not exist") from error
    except UNREADABLE + damage as error:
        raise InputError(
            f"the {what} {path} cannot be read after {count} rows ({one_line(error)}); is it "
            "whole, in UTF-8 and of the kind that its name says?"
        ) from error


def one_line(error: BaseException) -> str:
    """Return the beginning of what an error says."""
    return " ".join(str(error).split())[:120] or type(error).__name__
