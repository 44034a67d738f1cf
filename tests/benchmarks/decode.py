"""What a picture costs from bytes to bytes, step by step: CPU milliseconds, means over a corpus.

`make bench-decode` takes each step of each picture REPEATS times and keeps the least, which
neighbours on the machine disturb least. Beside ours: img2dataset's way (full decode by OpenCV, area
interpolation, encode), without signals, checks or colours, and what no decoder of JPEG avoids: an
eighth-scale decode, which reads all of a file's codes and makes next to no pixels.
"""

import argparse
import hashlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import tests

# Some library brings a top-level `tests` of its own, which outside pytest would hide ours.
tests.__path__ = [str(Path(__file__).resolve().parents[1])]

from tasks.commands import run_command  # noqa: E402
from tasks.ingestion.pictures.decoding import Raster, decode, in_srgb  # noqa: E402
from tasks.ingestion.pictures.encoding import encoded  # noqa: E402
from tasks.ingestion.pictures.formats.reading import read_header  # noqa: E402
from tasks.ingestion.pictures.images import stored_picture  # noqa: E402
from tasks.ingestion.pictures.resizing import scaled, shrink_factor, target_size  # noqa: E402
from tasks.ingestion.pictures.signals import image_signals  # noqa: E402
from tasks.ingestion.settings import DECODE_MODES, Ingestion  # noqa: E402
from tests.benchmarks.ingest.corpus import Drawn, corpus, digest_of  # noqa: E402

RIVAL = "img2dataset's way"
STEPS = ("header", "decode", "resize", "encode", "signals", "sha256", "sum", "stored_picture")
KINDS = ("baseline jpg", "progressive jpg", "png", "webp")
Result = TypeVar("Result")
Pixels = NDArray[np.uint8]


class Costs:
    """CPU milliseconds by way, step and kind of picture."""

    def __init__(self, repeats: int) -> None:
        self._repeats = repeats
        self._spent: dict[tuple[str, str, str], list[float]] = {}
        self.kind = ""

    def of(self, way: str, step: str, call: Callable[[], Result]) -> Result:
        """Make a call a few times and note the least that it cost."""
        least = float("inf")
        for _ in range(self._repeats):
            began_s = time.process_time()
            result = call()
            least = min(least, time.process_time() - began_s)
        self._spent.setdefault((way, step, self.kind), []).append(least * 1e3)
        return result

    def mean(self, way: str, step: str, kind: str = "") -> float:
        """Return the mean over the pictures of a kind, or over all; 0 where there is none."""
        if step == "sum":
            return sum(self.mean(way, each, kind) for each in STEPS[:6])
        found = [
            ms
            for (a_way, a_step, a_kind), spent in self._spent.items()
            if (a_way, a_step) == (way, step) and kind in ("", a_kind)
            for ms in spent
        ]
        return statistics.fmean(found) if found else 0.0


def measure(content: bytes, costs: Costs, how: Ingestion) -> list[Pixels]:
    """Take one picture through every way; return its pixels in the order of DECODE_MODES."""
    made = [_measure_mode(content, costs, replace(how, decode_mode=mode)) for mode in DECODE_MODES]
    header = read_header(content)
    if header.format == "jpeg":
        costs.of("floor", "decode", lambda: decode(content, header, 8))
    _measure_rival(content, costs, how)
    return made


def _measure_mode(content: bytes, costs: Costs, how: Ingestion) -> Pixels:
    way = how.decode_mode
    header = costs.of(way, "header", lambda: read_header(content))
    size = target_size(header.width, header.height, how)
    factor = shrink_factor(header, size, way)
    raster = costs.of(way, "decode", lambda: decode(content, header, factor))

    def resized() -> Pixels:
        return in_srgb(Raster(scaled(raster.pixels, *size, how), raster.space), header.icc)

    pixels = costs.of(way, "resize", resized)
    costs.of(way, "encode", lambda: encoded(pixels, how))
    costs.of(way, "signals", lambda: image_signals(pixels))
    costs.of(way, "sha256", lambda: hashlib.sha256(content).hexdigest())
    costs.of(way, "stored_picture", lambda: stored_picture(content, how))
    return pixels


def _measure_rival(content: bytes, costs: Costs, how: Ingestion) -> None:
    packed = np.frombuffer(content, np.uint8)

    def decoded() -> Pixels:
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_UNCHANGED), dtype=np.uint8)

    pixels = costs.of(RIVAL, "decode", decoded)
    size = target_size(pixels.shape[1], pixels.shape[0], how)

    def resized() -> Pixels:
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

    small = costs.of(RIVAL, "resize", resized)
    quality = [cv2.IMWRITE_JPEG_QUALITY, how.encode_quality]
    costs.of(RIVAL, "encode", lambda: cv2.imencode(".jpg", small, quality))
    costs.of(RIVAL, "sha256", lambda: hashlib.sha256(content).hexdigest())


def kind_of(picture: Drawn) -> str:
    """Return one of KINDS."""
    if picture.kind != "jpg":
        return picture.kind
    return "progressive jpg" if picture.progressive else "baseline jpg"


def psnr(one: Pixels, other: Pixels) -> float:
    """Return the peak signal-to-noise ratio of two pictures, in dB."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def report(costs: Costs, console: Console) -> None:
    """Print a table of steps by way, and one of whole pictures by kind."""
    steps = Table("CPU-ms a picture", *DECODE_MODES, RIVAL)
    for step in STEPS:
        row = [costs.mean(way, step) for way in (*DECODE_MODES, RIVAL)]
        steps.add_row(step, *(f"{ms:.3f}" if ms else "" for ms in row))
    console.print(steps)
    kinds = Table("sum by kind", *DECODE_MODES, RIVAL, "floor of decoding")
    for kind in KINDS:
        row = [costs.mean(way, "sum", kind) for way in (*DECODE_MODES, RIVAL)]
        floor = costs.mean("floor", "decode", kind)
        kinds.add_row(kind, *(f"{ms:.2f}" for ms in row), f"{floor:.2f}" if floor else "")
    console.print(kinds)


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=150, help="of the corpus, from its start")
    parser.add_argument("--repeats", type=int, default=3, help="of each step; the least counts")
    parser.add_argument("--size", type=int, default=256, help="image_size, in pixels")
    parser.add_argument("--folder", type=Path, default=Path(".bench/ingest"), help="of the corpus")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    pictures = corpus(given.folder / "corpus", given.pictures, 2)
    how = Ingestion(image_size=given.size)
    costs, fidelity = Costs(given.repeats), []
    for picture in pictures:
        costs.kind = kind_of(picture)
        content = (given.folder / "corpus" / picture.file).read_bytes()
        fast, hq, area = measure(content, costs, how)
        fidelity.append((psnr(fast, area), psnr(hq, area)))
    console = Console(width=110)
    kilobytes = statistics.fmean(p.bytes for p in pictures) / 1e3
    megapixels = statistics.fmean(p.width * p.height for p in pictures) / 1e6
    console.print(
        f"{len(pictures)} pictures ({digest_of(pictures)}), mean {kilobytes:.0f} KB and "
        f"{megapixels:.2f} megapixels, to {given.size} pixels; least of {given.repeats}"
    )
    report(costs, console)
    shrunk = [both for both in fidelity if both[0] < 80]  # the others stay as they are
    fast_db, hq_db = (statistics.median(both[n] for both in shrunk) for n in (0, 1))
    console.print(f"median PSNR against area: fast {fast_db:.1f} dB, hq {hq_db:.1f} dB")


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
