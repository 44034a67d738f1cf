"""Look at what a contender left: whole tars, a row a URL, and pictures that are the pictures."""

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from tests.benchmarks.ingest.corpus import Drawn

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LOOKED_AT = 20  # one picture in so many
LEAST_PSNR_DB = 25.0  # a picture that was shrunk in another way differs less


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a run left.

    Attributes:
        samples: pictures in its tars.
        rows: rows of its parquet files, one a URL.
        megabytes: of its tars.
        psnr_db: median over the pictures looked at, against the original shrunk by averaging.
        faults: what is wrong, a line each.
    """

    samples: int
    rows: int
    megabytes: float
    psnr_db: float
    faults: list[str]


def look(out: Path, rows: str, pictures: Path, index: Mapping[str, Drawn], side: int) -> Left:
    """Count what is below `out`; decode one picture in twenty and compare it with its original.

    Args:
        out: where a contender wrote.
        rows: glob below `out` of the parquet files with a row a URL.
        pictures: the corpus' folder.
        index: the corpus by file name.
        side: what the shorter side was to become, also of smaller pictures.
    """
    urls: dict[str, str] = {}
    faults: list[str] = []
    count = 0
    for file in sorted(out.glob(rows)):
        table = pq.read_table(file, columns=["key", "url"]).to_pydict()
        count += len(table["key"])
        urls.update(zip(table["key"], table["url"], strict=True))
    if len(set(urls.values())) != count:
        faults.append(f"{count} rows, but {len(set(urls.values()))} URLs")
    samples, megabytes, likeness = 0, 0.0, []
    for tar in sorted(out.rglob("*.tar")):
        megabytes += tar.stat().st_size / 1e6
        for key, body in _members(tar):
            samples += 1
            if samples % LOOKED_AT == 0:
                drawn = index[urls[key].rpartition("/")[2]]
                fault, psnr_db = _judged(body, pictures / drawn.file, drawn, side)
                likeness.append(psnr_db)
                faults += [f"{tar.name} {key}: {fault}"] if fault else []
    psnr_db = float(np.median(likeness)) if likeness else 0.0
    return Left(samples=samples, rows=count, megabytes=megabytes, psnr_db=psnr_db, faults=faults)


def _members(tar: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(tar) as opened:
        for member in opened:
            name = Path(member.name)
            if name.suffix in SUFFIXES and (file := opened.extractfile(member)) is not None:
                yield name.stem, file.read()


def _judged(body: bytes, original: Path, drawn: Drawn, side: int) -> tuple[str, float]:
    """Return what is wrong with a stored picture, if anything, and its likeness in dB."""
    image = Image.open(io.BytesIO(body))
    width, height = image.size
    if image.mode != "RGB":
        return f"mode {image.mode}", 0.0
    if min(width, height) != side:
        return f"{width}x{height} of {drawn.width}x{drawn.height}", 0.0
    if abs(width / height - drawn.width / drawn.height) > 2 / min(width, height):
        return f"{width}x{height} distorts {drawn.width}x{drawn.height}", 0.0
    wanted = Image.open(original).convert("RGB").resize((width, height), Image.Resampling.BOX)
    difference = np.asarray(image, np.float32) - np.asarray(wanted, np.float32)
    psnr_db = 10 * np.log10(255**2 / max(1e-9, float(np.mean(difference**2))))
    fault = f"{psnr_db:.1f} dB from its original" if psnr_db < LEAST_PSNR_DB else ""
    return fault, float(psnr_db)
