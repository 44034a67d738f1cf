"""WebDataset shards: written byte for byte the same each time, read by offset; webdataset's door.

A sample is three members: `<key>.jpg` (or .png, .webp), `<key>.txt` and `<key>.json`. The rows of
`web/` keep where each picture's bytes lie, so nothing has to be scanned to reach one.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.storage import Lake, Shard

CARD = "selection.json"


class ShardWriter:
    """Writes samples to a tar and says where each picture's bytes begin."""

    def __init__(self, path: Path) -> None:
        # Open until the end of the `with` block this writer is the context of.
        self._tar = tarfile.open(path, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def add(
        self, key: str, picture: bytes, text: str, facts: Mapping[str, Any], extension: str = "jpg"
    ) -> tuple[int, int]:
        """Append a sample; return the offset and size of its picture in the tar."""
        offset = self._member(f"{key}.{extension}", picture)
        self._member(f"{key}.txt", text.encode())
        self._member(f"{key}.json", json.dumps(facts, sort_keys=True, default=str).encode())
        return offset, len(picture)

    def _member(self, name: str, content: bytes) -> int:
        member = tarfile.TarInfo(name)  # mtime, uid and gid are 0: equal input, equal bytes
        member.size = len(content)
        offset = self._tar.offset + tarfile.BLOCKSIZE
        self._tar.addfile(member, io.BytesIO(content))
        return offset


def stream(path: str) -> Iterator[dict[str, Any]]:
    """Yield the samples of a local tar through webdataset, as any other trainer sees them."""
    # Here, not above: it imports torch, and those who only write shards start without both.
    import webdataset

    yield from webdataset.WebDataset(path, shardshuffle=False)


def publish_selection(lake: Lake, selection_id: str, folder: Path) -> int:
    """Write a selection as ordinary jpg/txt/json shards that open_clip and others read unchanged.

    A picture with several selected texts becomes several samples. Shards that are there already
    are not written again. The selection's card lies beside them.

    Returns:
        How many samples the folder holds.

    Raises:
        InputError: there is no such selection, it is empty, or the folder holds another one.
    """
    card = f"selections/{selection_id}/selection.json"
    if not lake.exists(card):
        known = ", ".join(lake.folders("selections")) or "none"
        raise InputError(f"there is no selection {selection_id} in {lake.root} (there: {known})")
    about = lake.read_json(card)
    if not about["counts"]["selected"]:
        raise InputError(f"selection {selection_id} keeps no caption, so there is nothing to write")
    local = Lake(str(folder.absolute()))
    _claim(local, about)
    total = 0
    for relative in lake.glob(f"selections/{selection_id}/*/*.parquet"):
        batch, name = relative.split("/")[2], Path(relative).stem
        selected = rows.read_rows(lake, relative).to_pylist()
        total += len(selected)
        target = f"{batch}-{name}.tar"
        if selected and not local.exists(target):
            with local.publishing(target) as temporary:
                _publish_shard(lake, Shard(batch, name), selected, temporary)
    return total


def _claim(folder: Lake, card: dict[str, Any]) -> None:
    """Put a selection's card into a folder; shards of two selections must never lie together."""
    if not folder.exists(CARD):
        folder.publish_json(CARD, card)
    elif (other := folder.read_json(CARD)["id"]) != card["id"]:
        raise InputError(
            f"{folder.root} holds the shards of selection {other}; give {card['id']} another folder"
        )


def _publish_shard(
    lake: Lake, shard: Shard, selected: list[dict[str, Any]], temporary: Path
) -> None:
    columns = ["key", "url", "sha256", "tar_offset", "tar_size"]
    web = rows.read_rows(lake, lake.rows("web", "", shard), columns).to_pylist()
    by_key = {row["key"]: row for row in web}
    seen: dict[str, int] = {}
    with (
        lake.fs.open(lake.path(lake.web_tar(shard)), "rb") as tar,
        ShardWriter(temporary) as writer,
    ):
        for row in selected:
            facts = by_key.get(row["key"])
            if facts is None or facts["tar_offset"] is None:
                raise LakeError(f"picture {row['key']} of {shard} is selected but not stored")
            tar.seek(facts["tar_offset"] - tarfile.BLOCKSIZE)
            member = tarfile.TarInfo.frombuf(tar.read(tarfile.BLOCKSIZE), "utf-8", "strict")
            picture = tar.read(facts["tar_size"])
            place = seen[row["key"]] = seen.get(row["key"], -1) + 1
            described = {k: facts[k] for k in ("url", "sha256")} | {
                k: row[k] for k in ("caption_id", "source")
            }
            extension = member.name.rpartition(".")[2]
            writer.add(f"{row['key']}_{place}", picture, row["text"], described, extension)
