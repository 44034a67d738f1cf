"""What each signal of a picture and of a text costs: CPU-milliseconds, the best of several rounds.

`make bench-signals` takes the pictures of the ingest bench (drawn once, in .bench/ingest), as
ingestion stores them: 256 pixels on the shorter side.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tests

# Some library brings a top-level `tests` of its own, which outside pytest would hide ours.
ROOT = Path(__file__).resolve().parents[2]
tests.__path__ = [str(ROOT / "tests")]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from tasks.ingestion import texts  # noqa: E402
from tasks.ingestion.pictures import hashes, signals  # noqa: E402
from tests.benchmarks.ingest.corpus import corpus  # noqa: E402

FOLDER = ROOT / ".bench" / "ingest" / "corpus"
SHORTER_SIDE = 256
CAPTIONS = (
    "a brown dog runs over the green meadow",
    "Vintage 1960s Ford Mustang convertible, red, parked in front of the old barn (Kansas, USA)",
    "IMG_2034.jpg",
    "Best deals on shoes at www.shop.com 20% off, click here",
    "ein brauner Hund läuft über die grüne Wiese",
    "The view from our hotel room; très bien! #holiday2019",
)
Timed = tuple[str, float]


def measured(call: Callable[[Any], Any], given: Sequence[Any], rounds: int) -> float:
    """Return CPU-milliseconds a call, of the fastest round."""
    best = float("inf")
    for _ in range(rounds):
        began_s = time.process_time()
        for one in given:
            call(one)
        best = min(best, time.process_time() - began_s)
    return 1e3 * best / len(given)


def stored(path: Path) -> signals.Pixels:
    pixels = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    scale = SHORTER_SIDE / min(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def of_pictures(pictures: Sequence[signals.Pixels], rounds: int) -> Iterator[Timed]:
    small = [signals.at_one_scale(one) for one in pictures]
    grey = [np.asarray(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), dtype=np.uint8) for one in small]
    parts: tuple[tuple[str, Callable[[Any], Any], Sequence[Any]], ...] = (
        ("one scale: 256 pixels", signals.at_one_scale, pictures),
        ("grey", lambda one: cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), small),
        ("phash, dhash", hashes.hashes, grey),
        ("border, trimmed hashes", hashes.without_border, grey),
        ("entropy, brightness", signals.light, grey),
        ("lap_var", signals.sharpness, grey),
        ("edge_frac, axis_frac", signals.edges, grey),
        ("colorfulness", signals.colorfulness, small),
        ("flat_frac", signals.flat_share, small),
        ("all of a picture", signals.image_signals, pictures),
    )
    for name, call, given in parts:
        yield name, measured(call, given, rounds)


def of_texts(rounds: int) -> Iterator[Timed]:
    given = CAPTIONS * 50
    parts: tuple[tuple[str, Callable[[str], Any]], ...] = (
        ("has_stop_phrase", lambda one: texts.stop_phrases().search(one)),
        ("text_norm_hash", texts.norm_hash),
        ("words, complexity", lambda one: texts.complexity(texts.WORD.findall(one.lower()))),
        ("lang, lang_conf", texts.language),
        ("all of a text", texts.text_signals),
    )
    for name, call in parts:
        yield name, measured(call, given, rounds)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="make bench-signals", description=__doc__)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    drawn = corpus(FOLDER, given.pictures, 2)
    pictures = [stored(FOLDER / one.file) for one in drawn]
    shown = Table("signal", "CPU-ms", title=f"{len(pictures)} pictures, {len(CAPTIONS)} captions")
    for timed in (of_pictures(pictures, given.rounds), of_texts(given.rounds)):
        for name, cost_ms in timed:
            shown.add_row(name, f"{cost_ms:.3f}", end_section=name.startswith("all"))
    Console(width=60).print(shown)


if __name__ == "__main__":
    main(sys.argv[1:])
