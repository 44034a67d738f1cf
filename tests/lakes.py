"""A lake written picture by picture, as the stages would have left it, for what reads its tables.

A test says which pictures there are and what is said of each; signals of texts and pictures are
those that ingestion computes, so a rule meets what it will meet.
"""

import functools
import hashlib
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks import rows
from tasks.ingestion.pictures.signals import image_signals
from tasks.ingestion.texts import text_signals
from tasks.storage import Lake, Shard, open_lake

CAPTIONER = "captions-test"
FILTER = "scores-test"
RBM = "rbm-test"
SITE = "https://pictures.example"


@dataclass(frozen=True, kw_only=True)
class Text:
    """One text of a picture with its scores; `signals` replaces columns of its row."""

    text: str
    source: str = "web"
    itm: float | None = 0.9
    itc: float | None = 0.3
    pmi: float | None = None
    energy: float | None = None
    signals: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Painted:
    """One picture; without pixels it is a plain square of noise that its name determines.

    `web` replaces columns of its row.
    """

    name: str
    texts: Sequence[Text] = ()
    pixels: NDArray[np.uint8] | None = None
    outcome: str = rows.Outcome.KEPT
    web: dict[str, Any] = field(default_factory=dict)


def key_of(batch: str, name: str) -> str:
    return rows.key_of(f"{SITE}/{batch}/{name}")


def caption_id(batch: str, name: str, source: str = "web", index: int = 0) -> str:
    run = CAPTIONER if source == "synthetic" else "ingestion"
    return rows.caption_id_of(key_of(batch, name), source, run, index)


def speckled(name: str, side: int = 23) -> NDArray[np.uint8]:
    """Noise that the name determines: sharp, with many greys, and like no other."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    coarse = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return np.asarray(np.repeat(np.repeat(coarse, 11, 0), 11, 1), dtype=np.uint8)


def developed(pixels: NDArray[np.uint8]) -> tuple[bytes, tuple[int, int], dict[str, Any]]:
    """A picture's JPEG, height and width, and signals."""
    jpeg = bytes(cv2.imencode(".jpg", pixels[..., ::-1])[1])
    return jpeg, (pixels.shape[0], pixels.shape[1]), image_signals(pixels)


@functools.cache
def plain(name: str) -> tuple[bytes, tuple[int, int], dict[str, Any]]:
    """The same of the noise that a name determines, computed once."""
    return developed(speckled(name))


def new_lake(root: Path) -> Lake:
    return open_lake(str(root), create=True)


def write_batch(
    lake: Lake, batch: str, pictures: Sequence[Painted], *, per_shard: int = 100, first: int = 0
) -> list[Shard]:
    """Write plans, tars, rows, captions and scores of a batch, committed, from shard `first` on."""
    shards = []
    for at in range(0, max(len(pictures), 1), per_shard):
        shard = Shard(batch, f"{first + at // per_shard:05d}")
        _write_shard(lake, shard, pictures[at : at + per_shard])
        shards.append(shard)
    lake.publish_json(lake.plan_record(batch), {"shards": first + len(shards)})
    return shards


def write_duplicates(
    lake: Lake,
    batch: str,
    twins: dict[str, tuple[str, int]],
    *,
    keeper_batch: str = "",
    method: str = "phash",
) -> None:
    """Record name -> (keeper's name, distance) as ingestion's dedup does."""
    where = keeper_batch or batch
    named = {"keeper_batch": where, "method": method}
    found = [
        {"key": key_of(batch, a), "keeper": key_of(where, b), "distance": d, **named}
        for a, (b, d) in twins.items()
    ]
    shard = Shard(batch, "00000")
    path = lake.rows("duplicates", "ingestion", shard)
    rows.write_rows(lake, path, rows.table_of(found, rows.DUPLICATES))
    counts = {"pictures": 0, "duplicates": len(found)}
    lake.commit("duplicates", "ingestion", shard, files=[path], rows=counts, seconds=1)


def _write_shard(lake: Lake, shard: Shard, pictures: Sequence[Painted]) -> None:
    tar_path = lake.web_tar(shard)
    with lake.publishing(tar_path) as temporary, tarfile.open(temporary, "w") as tar:
        web = [_web_row(shard, picture, tar) for picture in pictures]
    write = {
        "plans": ([{"key": row["key"], "url": row["url"]} for row in web], rows.PLANS),
        "web": (web, rows.WEB),
    }
    for table, (found, schema) in write.items():
        rows.write_rows(lake, lake.rows(table, "", shard), rows.table_of(found, schema))
    kept = [picture for picture in pictures if picture.outcome == rows.Outcome.KEPT]
    _write_texts(lake, shard, kept, "ingestion", ("web", "human"))
    counts = {"planned": len(web), "kept": len(kept), "failed": len(web) - len(kept)}
    files = [lake.rows("web", "", shard), lake.rows("captions", "ingestion", shard)]
    lake.commit("ingestion", "ingestion", shard, files=files, rows=counts, seconds=2.5)
    texts = [text for picture in kept for text in picture.texts]
    if any(text.source == "synthetic" for text in texts):
        path, n_texts = _write_texts(lake, shard, kept, CAPTIONER, ("synthetic",))
        counts = {"pictures": len(kept), "captions": n_texts}
        lake.commit("captioning", CAPTIONER, shard, files=[path], rows=counts, seconds=7)
    if any(text.itm is not None for text in texts):
        _write_scores(lake, shard, kept, FILTER, "scoring")
    if any(text.pmi is not None for text in texts):
        _write_scores(lake, shard, kept, RBM, "rbm")


def _web_row(shard: Shard, picture: Painted, tar: tarfile.TarFile) -> dict[str, Any]:
    key = key_of(shard.batch, picture.name)
    row: dict[str, Any] = {
        "key": key,
        "url": f"{SITE}/{shard.batch}/{picture.name}",
        "domain": "pictures.example",
        "source": "human" if picture.texts and picture.texts[0].source == "human" else "web",
        "batch": shard.batch,
        "shard": shard.name,
        "outcome": picture.outcome,
        "http_status": 200,
        "attempts": 1,
        "seconds": 0.05,
    }
    if picture.outcome == rows.Outcome.KEPT:
        drawn = picture.pixels
        made = plain(picture.name) if drawn is None else developed(drawn)
        jpeg, (height, width), signals = made
        member = tarfile.TarInfo(f"{key}.jpg")
        member.size = len(jpeg)
        row |= {"tar_offset": tar.offset + tarfile.BLOCKSIZE, "tar_size": len(jpeg)}
        tar.addfile(member, io.BytesIO(jpeg))
        row |= {"width": width, "height": height, "bytes": len(jpeg), "format": "jpeg"}
        row |= {"original_width": width, "original_height": height, "status": "success"}
        row |= {"sha256": hashlib.sha256(jpeg).hexdigest(), **signals}
    return row | picture.web


def _told(
    shard: Shard, pictures: Sequence[Painted], sources: Sequence[str]
) -> list[tuple[str, int, Text]]:
    """Key, index within its source, and text of every text of these sources."""
    told = []
    for picture in pictures:
        for source in sources:
            own = [text for text in picture.texts if text.source == source]
            told += [(key_of(shard.batch, picture.name), i, t) for i, t in enumerate(own)]
    return told


def _write_texts(
    lake: Lake, shard: Shard, pictures: Sequence[Painted], run: str, sources: Sequence[str]
) -> tuple[str, int]:
    found = [
        {
            **text_signals(text.text),
            "caption_id": rows.caption_id_of(key, text.source, run, index),
            "key": key,
            "batch": shard.batch,
            "shard": shard.name,
            "run": run,
            "source": text.source,
            "index": index,
            "text": text.text,
            "model": "a-captioner" if text.source == "synthetic" else None,
            "degenerate": False if text.source == "synthetic" else None,
            **text.signals,
        }
        for key, index, text in _told(shard, pictures, sources)
    ]
    path = lake.rows("captions", run, shard)
    rows.write_rows(lake, path, rows.table_of(found, rows.CAPTIONS))
    return path, len(found)


def _write_scores(
    lake: Lake, shard: Shard, pictures: Sequence[Painted], run: str, stage: str
) -> None:
    found = []
    for sources in (("web", "human"), ("synthetic",)):
        by = CAPTIONER if sources == ("synthetic",) else "ingestion"
        for key, index, text in _told(shard, pictures, sources):
            scores = (
                {"rbm_pmi": text.pmi, "gaussian_pmi": text.pmi, "free_energy": text.energy}
                if run == RBM
                else {"itm_probability": text.itm, "itc_cosine": text.itc}
            )
            found.append(
                {
                    "caption_id": rows.caption_id_of(key, text.source, by, index),
                    "key": key,
                    "batch": shard.batch,
                    "shard": shard.name,
                    "run": run,
                    "model": "a-filter" if run == FILTER else "a-machine",
                    **scores,
                }
            )
    path = lake.rows("scores", run, shard)
    rows.write_rows(lake, path, rows.table_of(found, rows.SCORES))
    counts = {"pictures": len(pictures), "scores": len(found)}
    lake.commit(stage, run, shard, files=[path], rows=counts, seconds=5)
