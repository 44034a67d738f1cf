"""What finding copies costs: seconds and peak memory for a million pictures with made-up hashes.

`make bench-duplicates` draws random hashes, plants near copies (up to three bits away in the first
hash, ten in the second), and runs the search of ingestion over them: a batch by itself, a batch
against a lake ten times as large, and a batch with a crowd of pictures that are all alike, such as
the frames of a webcam. Each case is a process of its own; every planted copy has to be found.
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import tests

# Some library brings a top-level `tests` of its own, which outside pytest would hide ours.
ROOT = Path(__file__).resolve().parents[2]
tests.__path__ = [str(ROOT / "tests")]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from tasks.database import Database  # noqa: E402
from tasks.ingestion.dedup import (  # noqa: E402
    COMPARED,
    DHASH_RADIUS,
    LOOKED_AT,
    RADIUS,
    find_twins,
)
from tasks.rows import DUPLICATES, key_of  # noqa: E402

COPIES = 0.02
# Name, pictures of earlier batches, pictures of the new one, of which so many are all alike.
CASES = {
    "one batch": (0.0, 1.0, 0),
    "a batch against a lake": (0.9, 0.1, 0),
    "a batch with a crowd": (0.0, 1.0, 5000),
}

Hashes = NDArray[np.uint64]


def turned(hashes: Hashes, most: int, random: np.random.Generator) -> Hashes:
    """Turn up to `most` bits of each hash."""
    for _ in range(most):
        bits = np.uint64(1) << random.integers(0, 64, hashes.size, dtype=np.uint64)
        hashes = np.where(random.random(hashes.size) < 0.7, hashes ^ bits, hashes)
    return hashes


def web_of(earlier: int, new: int, crowd: int) -> tuple[pa.Table, int]:
    """Return pictures, and how many of the new ones are copies."""
    random = np.random.default_rng(20_261_121)
    total = earlier + new
    looks = [random.integers(0, 1 << 64, total, dtype=np.uint64) for _ in range(2)]
    copies = int(new * COPIES)
    of = random.permutation(total - copies)[:copies]
    for hashes, radius in zip(looks, (RADIUS, DHASH_RADIUS), strict=True):
        alike = np.full(crowd, hashes[earlier], dtype=np.uint64)
        hashes[earlier : earlier + crowd] = turned(alike, radius // 2, random)
        hashes[total - copies :] = turned(hashes[of], radius, random)
    names = {
        "batch": np.repeat(["earlier", "new"], [earlier, new]),
        "key": [key_of(str(number)) for number in range(total)],
        "outcome": np.repeat("kept", total),
        "source": np.repeat("web", total),
        "sha256": [f"{number:064x}" for number in range(total)],
        "phash": looks[0],
        "dhash": looks[1],
        "entropy": np.repeat(np.float32(7), total),
        "flat_frac": np.repeat(np.float32(0.1), total),
        "original_width": random.integers(200, 2000, total, dtype=np.int32),
        "original_height": random.integers(200, 2000, total, dtype=np.int32),
    }
    fields = [
        pa.array(names[field.name], field.type)
        if field.name in names
        else pa.nulls(total, field.type)
        for field in LOOKED_AT
    ]
    return pa.Table.from_arrays(fields, schema=LOOKED_AT), copies + max(crowd - 1, 0)


def run(case: str, pictures: int) -> str:
    """Run a case in this process and return its line."""
    earlier, new, crowd = CASES[case]
    table, planted = web_of(int(earlier * pictures), int(new * pictures), crowd)
    batches = [
        {"batch": one, "place": n, "is_new": one == "new"}
        for n, one in enumerate(("earlier", "new"))
    ]
    with Database() as database:
        database.keep("web", table)
        database.keep("raw_mark", DUPLICATES.append(pa.field("path", pa.string())).empty_table())
        database.keep("compared", pa.Table.from_pylist(batches, schema=COMPARED))
        before_mb, began_s, began_cpu_s = peak_mb(), time.monotonic(), time.process_time()
        twins = find_twins(database)
        seconds, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    if len(twins) != planted:
        raise SystemExit(f"{case}: {len(twins)} copies found, {planted} planted")
    return (
        f"{case:24} {pictures:>10,} pictures  {len(twins):>7,} copies  {seconds:6.1f} s"
        f"  {cpu_s:6.1f} CPU-s  peak {peak_mb():,.0f} MB ({before_mb:,.0f} before)"
    )


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="make bench-duplicates", description=__doc__)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--case", choices=CASES, help="one of them, in this process")
    given = parser.parse_args(arguments)
    if given.case:
        sys.stdout.write(run(given.case, given.pictures) + "\n")
        return
    for case in CASES:
        command = [sys.executable, __file__, "--case", case, "--pictures", str(given.pictures)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
