"""A lake with a few painted pictures, written through the tables themselves.

Picture `i` is one flat colour that its caption names, so a test can tell whether a text came with
its own picture by looking at a pixel.
"""

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np

from tasks import rows
from tasks.storage import Lake, Shard, open_lake

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 200, 40),
    "blue": (30, 40, 220),
    "yellow": (230, 220, 30),
    "black": (10, 10, 10),
    "white": (245, 245, 245),
    "purple": (150, 30, 170),
}
NAMES = tuple(COLOURS)
SHAPES = ("square", "wall", "field", "carpet")


def picture_key(batch: str, number: int) -> str:
    return rows.key_of(f"http://site/{batch}/{number}.jpg")


def colour_of(number: int) -> str:
    return NAMES[number % len(NAMES)]


def caption_of(number: int) -> str:
    return f"a {colour_of(number)} {SHAPES[number // len(NAMES) % len(SHAPES)]}"


def write_lake(
    root: Path, *, batch: str = "web", counts: tuple[int, ...] = (7, 4), source: str = "web"
) -> Lake:
    """Write one batch of ingested shards, `counts` pictures each plus one that failed."""
    lake = open_lake(str(root), create=True)
    first = 0
    for number, count in enumerate(counts):
        _write_shard(lake, Shard(batch, f"{number:05d}"), range(first, first + count), source)
        first += count
    lake.publish_json(lake.plan_record(batch), {"shards": len(counts)})
    return lake


def _write_shard(lake: Lake, shard: Shard, numbers: range, source: str) -> None:
    web, captions = [], []
    with lake.publishing(lake.web_tar(shard)) as temporary, tarfile.open(temporary, "w") as tar:
        for number in numbers:
            key = picture_key(shard.batch, number)
            jpeg = jpeg_of(COLOURS[colour_of(number)])
            member = tarfile.TarInfo(f"{key}.jpg")
            member.size = len(jpeg)
            offset = tar.offset + tarfile.BLOCKSIZE
            tar.addfile(member, io.BytesIO(jpeg))
            web.append(_kept(shard, key, offset, len(jpeg), source))
            captions.append(_caption(shard, key, caption_of(number), source))
    lost = rows.key_of(f"http://site/{shard}/gone.jpg")
    web.append({"key": lost, "outcome": rows.Outcome.HTTP_ERROR, "batch": shard.batch})
    rows.write_rows(lake, lake.rows("plans", "", shard), rows.table_of([], rows.PLANS))
    rows.write_rows(lake, lake.rows("web", "", shard), rows.table_of(web, rows.WEB))
    path = lake.rows("captions", "ingestion", shard)
    rows.write_rows(lake, path, rows.table_of(captions, rows.CAPTIONS))
    lake.commit("ingestion", "ingestion", shard, files=[path], rows={"kept": len(web)}, seconds=0)


def _kept(shard: Shard, key: str, offset: int, size: int, source: str) -> dict[str, object]:
    return {
        "key": key,
        "outcome": rows.Outcome.KEPT,
        "batch": shard.batch,
        "shard": shard.name,
        "source": source,
        "tar_offset": offset,
        "tar_size": size,
    }


def _caption(shard: Shard, key: str, text: str, source: str) -> dict[str, object]:
    return {
        "caption_id": rows.caption_id_of(key, source, "ingestion", 0),
        "key": key,
        "batch": shard.batch,
        "shard": shard.name,
        "run": "ingestion",
        "source": source,
        "index": 0,
        "text": text,
    }


def jpeg_of(colour: tuple[int, int, int], width: int = 41, height: int = 29) -> bytes:
    """One flat colour, RGB, as the bytes of a JPEG that is not square."""
    square = np.full((height, width, 3), colour[::-1], dtype=np.uint8)
    return bytes(cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def write_selection(lake: Lake, selection_id: str, batch: str = "web") -> str:
    """Select every ingested caption of a batch; return the selection's id."""
    for shard in lake.planned(batch):
        read = rows.read_rows(lake, lake.rows("captions", "ingestion", shard)).to_pylist()
        chosen = [{name: row[name] for name in rows.SELECTIONS.names} for row in read]
        path = lake.rows("selections", selection_id, shard)
        rows.write_rows(lake, path, rows.table_of(chosen, rows.SELECTIONS))
    card = {"id": selection_id, "digest": f"digest-of-{selection_id}"}
    lake.publish_json(f"selections/{selection_id}/selection.json", card)
    return selection_id
