"""The lake: every path of a run, and the one way a file appears in it.

A file is written under a temporary name, made durable, and only then gets its name (a rename on a
local disk, a whole-object put on an object store). A shard of a stage is done when its commit
record exists; the record is written last and names every file with size and sha256. So a stage
that is killed at any moment leaves whole files or none, and a rerun skips what is committed.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import fsspec

from tasks.disk import make_durable, part_name, remove_orphans, writable
from tasks.errors import LakeError
from tasks.reach import openable

FORMAT = 2  # of what is committed; records without one are of the first; later ones are refused


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One unit of work: a group of about a thousand candidates that travel together."""

    batch: str
    name: str

    def __str__(self) -> str:
        return f"{self.batch}/{self.name}"


@dataclass(frozen=True, slots=True)
class Commit:
    """The record that makes a shard of a stage done."""

    stage: str
    run: str
    shard: Shard
    files: tuple[dict[str, Any], ...]
    rows: dict[str, int]
    seconds: float
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lake:
    """One fsspec root with the layout every stage shares; paths here are relative to it."""

    root: str

    @property
    def fs(self) -> Any:
        """The file system behind the root (an `fsspec.AbstractFileSystem`)."""
        return fsspec.core.url_to_fs(self.root)[0]

    @property
    def is_local(self) -> bool:
        """True when the lake lies on this machine's disk."""
        return _located(self.root, os.getcwd())[1]  # noqa: PTH109  # Path.cwd() is slow

    def path(self, *parts: str) -> str:
        """Return the full path of `parts` as the lake's file system spells it."""
        return "/".join([_located(self.root, os.getcwd())[0], *parts])  # noqa: PTH109

    def local_path(self, *parts: str) -> Path:
        """Return a local Path.

        Raises:
            LakeError: the lake is on an object store, where there is none.
        """
        if not self.is_local:
            raise LakeError(f"{self.root} is not on this machine's disk, so it has no local path")
        return Path(self.path(*parts))

    def web_tar(self, shard: Shard) -> str:
        """The WebDataset tar of a shard."""
        return f"web/{shard.batch}/{shard.name}.tar"

    def rows(self, table: str, run: str, shard: Shard) -> str:
        """The Parquet file of one table, run and shard; `plans` and `web` have no run level."""
        if table in ("plans", "web"):
            return f"{table}/{shard.batch}/{shard.name}.parquet"
        return f"{table}/{run}/{shard.batch}/{shard.name}.parquet"

    def exists(self, relative: str) -> bool:
        """True when the file is there, whole."""
        return bool(self.fs.exists(self.path(relative)))

    def names(self, folder: str, suffix: str) -> list[str]:
        """The sorted names of the files in `folder` that end in `suffix`, without it."""
        try:
            found = self.fs.ls(self.path(folder), detail=False)
        except FileNotFoundError:
            return []
        names = (Path(str(entry)).name for entry in found)
        return sorted(n.removesuffix(suffix) for n in names if n[0] != "." and n.endswith(suffix))

    def folders(self, folder: str) -> list[str]:
        """The sorted names of the folders directly below `folder`."""
        try:
            found = self.fs.ls(self.path(folder), detail=True)
        except FileNotFoundError:
            return []
        return sorted(Path(e["name"].rstrip("/")).name for e in found if e["type"] == "directory")

    def glob(self, pattern: str) -> list[str]:
        """The sorted relative paths that match a pattern such as `web/*/*.parquet`."""
        base = self.path("").rstrip("/") + "/"
        found = (str(entry) for entry in self.fs.glob(self.path(pattern)))
        return sorted(f.removeprefix(base) for f in found if Path(f).name[0] != ".")

    def read_bytes(self, relative: str) -> bytes:
        """Return a file's bytes; FileNotFoundError when it is not there."""
        with self.fs.open(self.path(relative), "rb") as file:
            return bytes(file.read())

    def read_json(self, relative: str) -> Any:
        """Return a JSON file's value."""
        return json.loads(self.read_bytes(relative))

    @contextlib.contextmanager
    def publishing(self, relative: str) -> Iterator[Path]:
        """Give a local path to write to; on leaving without an error it becomes `relative`.

        Raises:
            LakeError: the lake cannot be written or its disk is full; nothing has appeared.
        """
        target = self.path(relative)
        temporary = self._temporary_for(target)
        try:
            with writable(self.root):
                temporary.parent.mkdir(parents=True, exist_ok=True)
                yield temporary
                make_durable(temporary)
                if self.is_local:
                    temporary.replace(target)
                    make_durable(Path(target).parent)
                else:
                    self.fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                    self.fs.put_file(str(temporary), target)
        finally:
            with contextlib.suppress(OSError):  # said already: a read-only disk refuses this too
                temporary.unlink(missing_ok=True)

    def _temporary_for(self, target: str) -> Path:
        # Beside the target: a rename within one file system is atomic, a move across two a copy.
        name = part_name(target.rsplit("/", 1)[-1])
        folder = Path(target).parent if self.is_local else Path(tempfile.gettempdir())
        return folder / name

    def sweep(self, folder: str) -> None:
        """Remove what processes that were killed have left unfinished in a folder of this disk."""
        if self.is_local:
            remove_orphans(self.local_path(folder))

    def publish_bytes(self, relative: str, content: bytes) -> None:
        """Publish a small file whole or not at all."""
        with self.publishing(relative) as temporary:
            temporary.write_bytes(content)

    def publish_json(self, relative: str, value: Any) -> None:
        """Publish `value` as indented JSON with sorted keys."""
        text = json.dumps(value, indent=2, sort_keys=True, default=str) + "\n"
        self.publish_bytes(relative, text.encode())

    def publish_file(self, relative: str, local: Path) -> None:
        """Publish a copy of a local file."""
        with self.publishing(relative) as temporary:
            shutil.copyfile(local, temporary)

    def commit_path(self, stage: str, run: str, shard: Shard) -> str:
        """Where the commit record of a stage, run and shard lies."""
        return f"commits/{stage}/{run}/{shard.batch}/{shard.name}.json"

    def is_committed(self, stage: str, run: str, shard: Shard) -> bool:
        """True when this stage is done with this shard."""
        return self.exists(self.commit_path(stage, run, shard))

    def committed(self, stage: str, run: str, batch: str) -> list[Shard]:
        """The shards of a batch that this stage is done with, in order."""
        names = self.names(f"commits/{stage}/{run}/{batch}", ".json")
        return [Shard(batch, name) for name in names]

    def batches(self) -> list[str]:
        """The batches that have been planned, in order."""
        return [b for b in self.folders("plans") if self.exists(self.plan_record(b))]

    def plan_record(self, batch: str) -> str:
        """Where the record lies that makes a batch's plan whole; it is written last."""
        return f"plans/{batch}/plan.json"

    def planned(self, batch: str) -> list[Shard]:
        """The shards of a batch as fixed at planning.

        Raises:
            LakeError: the batch has not been planned, or its planning was interrupted.
        """
        # Not by listing: an interrupted planning leaves shards that belong to no plan.
        if not self.exists(self.plan_record(batch)):
            known = ", ".join(self.batches()) or "none"
            raise LakeError(
                f"batch {batch!r} has no plan in {self.root} (batches there: {known}); "
                "run ingestion on it first"
            )
        plan = self.read_json(self.plan_record(batch))
        return [Shard(batch, f"{n:0{plan.get('digits', 5)}d}") for n in range(int(plan["shards"]))]

    def commit(  # noqa: PLR0913  # a record has these six facts
        self,
        stage: str,
        run: str,
        shard: Shard,
        *,
        files: Sequence[str],
        rows: Mapping[str, int],
        seconds: float,
        versions: Mapping[str, str] | None = None,
    ) -> Commit:
        """Write the record that makes a shard of a stage done; call it last."""
        record = {
            "format": FORMAT,
            "stage": stage,
            "run": run,
            "batch": shard.batch,
            "shard": shard.name,
            "files": [self._described(relative) for relative in files],
            "rows": dict(rows),
            "seconds": round(seconds, 3),
            "versions": dict(versions or {}),
            "committed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.publish_json(self.commit_path(stage, run, shard), record)
        return _commit_of(record)

    def commit_of(self, stage: str, run: str, shard: Shard) -> Commit:
        """Read a commit record; FileNotFoundError when the shard is not done."""
        return _commit_of(self.read_json(self.commit_path(stage, run, shard)))

    def _described(self, relative: str) -> dict[str, Any]:
        digest = hashlib.sha256()
        size = 0
        with self.fs.open(self.path(relative), "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                size += len(block)
        return {"path": relative, "bytes": size, "sha256": digest.hexdigest()}


def open_lake(root: str, *, create: bool = False) -> Lake:
    """Return the lake at `root`.

    Raises:
        LakeError: it does not exist and `create` is false, or it cannot be opened or written.
    """
    lake = Lake(root.rstrip("/") or "/")
    with openable(root):
        lake.path()
    if create:
        with writable(root):
            lake.fs.makedirs(lake.path(), exist_ok=True)
            if lake.is_local and not os.access(lake.path(), os.W_OK):
                raise PermissionError(errno.EACCES, "not writable", root)
    elif not lake.fs.exists(lake.path()):
        raise LakeError(
            f"there is no lake at {root}; `make demo` fills one, and CAPLIFT_LAKE names another"
        )
    return lake


@cache  # fsspec takes 0.1 ms to say it, and a stage asks a dozen times a shard
def _located(root: str, _from: str) -> tuple[str, bool]:
    """Return the path of a root, seen from a folder, and whether it is on this disk."""
    fs, path = fsspec.core.url_to_fs(root)
    protocols = [fs.protocol] if isinstance(fs.protocol, str) else fs.protocol
    return str(path).rstrip("/"), not {"file", "local"}.isdisjoint(protocols)


def _commit_of(record: dict[str, Any]) -> Commit:
    if record.get("format", 1) > FORMAT:
        raise LakeError(
            f"{record['stage']} of {record['batch']}/{record['shard']} is of format "
            f"{record['format']} and this Caplift reads up to {FORMAT}: use the one that wrote it"
        )
    shard = Shard(record["batch"], record["shard"])
    said = (record[name] for name in ("rows", "seconds", "versions"))
    return Commit(record["stage"], record["run"], shard, tuple(record["files"]), *said)
