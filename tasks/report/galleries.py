"""Galleries: which pictures stand for what, as thumbnails read from the shards' tars.

A thumbnail is one seek and one read: the rows of `web/` say where each picture's bytes lie.
"""

import base64
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from tasks.database import Database
from tasks.report.figures import Scope, runnable
from tasks.storage import Lake, Shard

log = logging.getLogger(__name__)

SIDE = 160  # of a thumbnail's longer side, in pixels
QUALITIES = (70, 45, 25)  # of JPEG; the first whose bytes are few enough
MOST_BYTES = 12_000  # two hundred of them leave a page below four megabytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Gallery:
    """Pictures that a statement names.

    Attributes:
        name: unique in the report.
        title: what they have in common.
        statement: under `sql/`; returns kind, batch and key.
        reading: what to look for.
        most: the parameter of that name: pictures, or pictures of each kind.
        missing: said when there are none.
    """

    name: str
    title: str
    statement: str
    reading: str
    most: int = 12
    missing: str


GALLERIES = (
    Gallery(
        name="kept",
        title="In the selection",
        statement="reports/gallery_kept",
        reading="A random dozen: a key is a hash, so its order is chance, and always the same.",
        missing="No picture is selected yet.",
    ),
    Gallery(
        name="dropped",
        title="Dropped, by reason",
        statement="reports/gallery_dropped",
        reading="Pictures whose web text was dropped first for this reason.",
        most=4,
        missing="No web text was dropped.",
    ),
    Gallery(
        name="borderline",
        title="Hard to judge",
        statement="reports/gallery_borderline",
        reading="Web or synthetic text with an ITM probability nearest to one half.",
        missing="No text was scored near one half.",
    ),
    Gallery(
        name="disagreements",
        title="Models that disagree",
        statement="reports/gallery_disagreements",
        reading="Web texts that one signal ranks high and another low.",
        most=3,
        missing="No two signals have judged the same text yet.",
    ),
    Gallery(
        name="duplicates",
        title="Copies",
        statement="reports/gallery_duplicates",
        reading="The largest groups: the picture that is kept, then its copies.",
        most=4,
        missing="No picture repeats another one.",
    ),
    Gallery(
        name="rescued",
        title="Rescued by a synthetic caption",
        statement="reports/gallery_rescued",
        reading="The web text was dropped, what the captioner wrote was kept.",
        missing="No picture is in the selection by its synthetic caption alone.",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A gallery with its pictures.

    Attributes:
        gallery: which.
        cards: a picture each: kind, batch, key, url, texts … and `thumbnail`, a data URI, empty
            when the picture could not be read.
        sql: that named them.
        left_out: how many more it named than the page has room for.
    """

    gallery: Gallery
    cards: tuple[dict[str, Any], ...]
    sql: str
    left_out: int = 0


def shown_galleries(lake: Lake, database: Database, scope: Scope) -> list[Shown]:
    """Ask for every gallery's pictures, and read each picture once."""
    parameters = {"selection": scope.selection, "rbm_run": scope.rbm_run}
    named = {
        gallery: database.rows(gallery.statement, **parameters, most=gallery.most)
        for gallery in GALLERIES
    }
    keys = sorted({row["key"] for rows in named.values() for row in rows})
    known = {
        (row["batch"], row["key"]): row
        for row in database.rows("reports/pictures", **parameters, keys=keys)
    }
    pictures = _thumbnails(lake, list(known.values()))
    return [
        Shown(
            gallery=gallery,
            cards=tuple(
                {**row, **known[place], "thumbnail": pictures[place]}
                for row in rows
                if (place := (row["batch"], row["key"])) in known
            ),
            sql=runnable(gallery.statement, {**parameters, "most": gallery.most}),
        )
        for gallery, rows in named.items()
    ]


def thumbnail(jpeg: bytes) -> str:
    """Return a picture made small as a data URI; empty when the bytes are no picture."""
    pixels = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if pixels is None:
        return ""
    height, width = pixels.shape[:2]
    shrink = min(SIDE / max(height, width), 1.0)
    size = (max(round(width * shrink), 1), max(round(height * shrink), 1))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    made = (
        bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
        for quality in QUALITIES
    )
    encoded = next((one for one in made if len(one) <= MOST_BYTES), b"")
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode() if encoded else ""


def _thumbnails(lake: Lake, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """Read the pictures of the rows, each tar opened once and read forwards."""
    by_tar: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_tar.setdefault(lake.web_tar(Shard(row["batch"], row["shard"])), []).append(row)
    found: dict[tuple[str, str], str] = {}
    for tar, own in by_tar.items():
        # A report shows a lake as it is: without this tar, all else is still to be seen.
        try:
            found |= _read(lake, tar, own)
        except OSError as error:
            log.warning("%d pictures of %s are not shown: %s", len(own), tar, error)
            found |= {(row["batch"], row["key"]): "" for row in own}
    return found


def _read(lake: Lake, tar: str, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    found = {}
    with lake.fs.open(lake.path(tar), "rb") as file:
        for row in sorted(rows, key=lambda row: int(row["tar_offset"])):
            file.seek(row["tar_offset"])
            found[row["batch"], row["key"]] = thumbnail(file.read(row["tar_size"]))
    return found
