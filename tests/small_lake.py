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
    root: Path,
    *,
    batch: str = "web",
    counts: tuple[int, ...] = (7, 4),
    source: str = "web",
    shades: int = 0,
) -> Lake:
    """Write one batch of ingested shards, `counts` pictures each plus one that failed.

    With `shades` a picture's colour is off by up to as much and its text goes on at random, so that
    no two pairs are the same.
    """
    lake = open_lake(str(root), create=True)
    first = 0
    for number, count in enumerate(counts):
        numbers = range(first, first + count)
        _write_shard(lake, Shard(batch, f"{number:05d}"), numbers, source, shades)
        first += count
    lake.publish_json(lake.plan_record(batch), {"shards": len(counts)})
    return lake


def _write_shard(lake: Lake, shard: Shard, numbers: range, source: str, shades: int) -> None:
    web, captions = [], []
    with lake.publishing(lake.web_tar(shard)) as temporary, tarfile.open(temporary, "w") as tar:
        for number in numbers:
            key = picture_key(shard.batch, number)
            jpeg = jpeg_of(shaded(COLOURS[colour_of(number)], shades, number))
            member = tarfile.TarInfo(f"{key}.jpg")
            member.size = len(jpeg)
            offset = tar.offset + tarfile.BLOCKSIZE
            tar.addfile(member, io.BytesIO(jpeg))
            web.append(_kept(shard, key, offset, len(jpeg), source))
            text = longer(number) if shades else caption_of(number)
            captions.append(_caption(shard, key, text, source))
    lost = rows.key_of(f"http://site/{shard}/gone.jpg")
    where = {"batch": shard.batch, "shard": shard.name}
    web.append({"key": lost, "outcome": rows.Outcome.HTTP_ERROR, **where})
    planned = [{"key": row["key"], "source": source} for row in web]
    rows.write_rows(lake, lake.rows("plans", "", shard), rows.table_of(planned, rows.PLANS))
    rows.write_rows(lake, lake.rows("web", "", shard), rows.table_of(web, rows.WEB))
    path = lake.rows("captions", "ingestion", shard)
    rows.write_rows(lake, path, rows.table_of(captions, rows.CAPTIONS))
    counts = {"planned": len(web), "kept": len(captions), "failed": 1}
    files = [lake.rows("web", "", shard), path]
    lake.commit("ingestion", "ingestion", shard, files=files, rows=counts, seconds=0)


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


def shaded(colour: tuple[int, int, int], shades: int, seed: int) -> tuple[int, int, int]:
    off = np.random.default_rng(seed).integers(-shades, shades + 1, size=3)
    red, green, blue = np.clip(np.array(colour) + off, 0, 255).tolist()
    return red, green, blue


def longer(number: int) -> str:
    drawn = np.random.default_rng(number).integers(len(NAMES) * len(SHAPES), size=3).tolist()
    return " and ".join([caption_of(number), *map(caption_of, drawn)])


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
