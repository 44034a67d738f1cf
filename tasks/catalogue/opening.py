"""Opening quality.duckdb: to read it, and to build on what an earlier build has already read.

The file is never changed in place. Whoever reads it keeps the one they opened; a build works on a
copy under another name. On an object store it lies beside the Parquet as one object: it is put
there whole and fetched whole, for DuckDB reads S3 by itself only with an extension that has to be
downloaded.
"""

import contextlib
import fcntl
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sql.statements import names, statement
from tasks.catalogue.sources import ROWS
from tasks.database import Database, DatabaseError
from tasks.errors import LakeError
from tasks.rows import fingerprint
from tasks.storage import Lake

log = logging.getLogger(__name__)

CATALOGUE = "quality.duckdb"
VERSION = 2  # of its tables; 1 kept no ledger


def made_of() -> str:
    """Return what names the statements and columns of all tables: others would give other rows."""
    columns = [str(kind.schema) for kind in ROWS]
    made_by = ("selection/rules", *names("schema"))
    return fingerprint([*columns, *(statement(name) for name in made_by)])


@contextlib.contextmanager
def open_catalogue(lake: Lake) -> Iterator[Database]:
    """Open quality.duckdb beside other readers; of a lake on an object store, a copy.

    Raises:
        LakeError: there is no catalogue yet, it is damaged, of another version, or a process has
            opened it for writing.
    """
    if not lake.exists(CATALOGUE):
        raise LakeError(f"{CATALOGUE} is not in {lake.root} yet; run the quality stage")
    with contextlib.ExitStack() as held:
        path = Path(lake.path(CATALOGUE))
        if not lake.is_local:
            path = Path(held.enter_context(tempfile.TemporaryDirectory())) / CATALOGUE
            lake.fs.get_file(lake.path(CATALOGUE), str(path))
        try:
            database = held.enter_context(Database(path, read_only=True))
        except DatabaseError as error:
            raise LakeError(
                f"{CATALOGUE} of {lake.root} cannot be opened ({error}); close what has it open "
                "for writing, or build it anew: python -m tasks.catalogue.building LAKE"
            ) from error
        version = _version(lake, database)
        if version < VERSION:
            raise LakeError(
                f"{CATALOGUE} of {lake.root} is of version {version} and this Caplift reads "
                f"{VERSION}; build it again: python -m tasks.catalogue.building LAKE"
            )
        yield database


def take_over(lake: Lake, copy: Path) -> bool:
    """Put the present catalogue at `copy`, to be built on; false when it has to be built anew.

    Raises:
        LakeError: it is of a later version than this code, or a process writes to it.
    """
    if not lake.exists(CATALOGUE):
        return False
    if lake.is_local:
        _require_free(lake)
        shutil.copyfile(lake.path(CATALOGUE), copy)
    else:
        lake.fs.get_file(lake.path(CATALOGUE), str(copy))
    try:
        with Database(copy, read_only=True) as old:
            usable = _is_usable(lake, old)
    except DatabaseError as error:
        log.warning("%s cannot be built on (%s) and is built anew", CATALOGUE, error)
        usable = False
    if not usable:
        copy.unlink(missing_ok=True)
    return usable


def sweep(lake: Lake) -> None:
    """Remove what builds that were killed have left, and what DuckDB kept beside it."""
    lake.sweep("")
    if lake.is_local:
        for beside in lake.local_path().glob(f".{CATALOGUE}.*.part.*"):
            part = beside.with_name(beside.name.rpartition(".part")[0] + ".part")
            if part.exists():
                continue
            if beside.is_dir():
                shutil.rmtree(beside, ignore_errors=True)
            else:
                beside.unlink(missing_ok=True)


def make_way(lake: Lake) -> None:
    """Remove what somebody who wrote to the present catalogue has left beside it.

    DuckDB would take it for a part of the next file of that name, and refuse to open both.

    Raises:
        LakeError: a process writes to it now.
    """
    if lake.is_local and lake.exists(CATALOGUE):
        _require_free(lake)
        lake.local_path(f"{CATALOGUE}.wal").unlink(missing_ok=True)


def _require_free(lake: Lake) -> None:
    if lake.local_path(CATALOGUE).is_dir():
        raise LakeError(
            f"{CATALOGUE} of {lake.root} is a folder, not a database; remove it and build again"
        )
    with lake.local_path(CATALOGUE).open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LakeError(
                f"{CATALOGUE} of {lake.root} is open for writing in another process; close it "
                "there, or open it read-only, and build again: nothing has changed"
            ) from error


def _is_usable(lake: Lake, old: Database) -> bool:
    version = _version(lake, old)
    same = version == VERSION and _built(old)["made_of"] == made_of()
    if not same:
        log.info("%s was made by another version of Caplift and is built anew", CATALOGUE)
    return same


def _version(lake: Lake, database: Database) -> int:
    """Return the version of a catalogue's tables; the first kept no record of it."""
    version = int(_built(database)["version"]) if database.has("build") else 1
    if version > VERSION:
        raise LakeError(
            f"{CATALOGUE} of {lake.root} is of version {version} and this Caplift knows up to "
            f"{VERSION}: use the version that wrote it, or remove the file, it is made of the "
            "lake alone"
        )
    return version


def _built(database: Database) -> dict[str, Any]:
    (row,) = database.rows("schema/build")
    return row
