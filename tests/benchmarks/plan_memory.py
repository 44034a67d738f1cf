"""What planning a URL table costs: rows, seconds and peak memory at 250,000 and 1,000,000 rows.

`make bench-plan` writes a table of made-up addresses and captions, a tenth of the addresses said
twice, and plans it in a process of its own, whose peak resident memory the kernel tells.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_A_GROUP = 100_000
PLAN = r"""
import json, re, sys, time
from pathlib import Path
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.stage import plan
from tasks.storage import open_lake

def peak_mb():  # not ru_maxrss: that begins with what the parent had
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

lake, before_mb, began_s = open_lake(sys.argv[2], create=True), peak_mb(), time.monotonic()
shards = plan(lake, Source(batch="web", tables=(sys.argv[1],)), Ingestion(shard_size=10_000))
print(json.dumps({
    "candidates": lake.read_json("plans/web/plan.json")["candidates"],
    "shards": len(shards),
    "seconds": round(time.monotonic() - began_s, 1),
    "cpu_s": round(time.process_time(), 1),
    "before_mb": round(before_mb),
    "peak_mb": round(peak_mb()),
}))
"""


def batches(count: int) -> Iterator[pa.RecordBatch]:
    """Yield `count` rows of a url, a caption of about 60 characters and a column not in use."""
    for start in range(0, count, ROWS_A_GROUP):
        numbers = range(start, min(start + ROWS_A_GROUP, count))
        pictures = (n - 1 if n % 10 == 9 else n for n in numbers)
        columns = {
            "url": [f"https://host{n % 9973}.example.org/pictures/{n}.jpg" for n in pictures],
            "caption": [f"a picture of thing number {n} beside a small red boat" for n in numbers],
            "similarity": [n / count for n in numbers],
        }
        yield pa.RecordBatch.from_pydict(columns)


def measured(count: int, folder: Path) -> dict[str, float]:
    """Plan a table of `count` rows in a process of its own; return what it says of itself."""
    table = folder / f"{count}.parquet"
    some = batches(count)
    first = next(some)
    with pq.ParquetWriter(table, first.schema) as writer:
        writer.write_batch(first)
        for batch in some:
            writer.write_batch(batch)
    command = [sys.executable, "-c", PLAN, str(table), str(folder / f"lake-{count}")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said: dict[str, float] = json.loads(done.stdout)
    return said


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[250_000, 1_000_000])
    sizes = parser.parse_args().rows
    sys.stdout.write("     rows  candidates  seconds   CPU-s  MB before  MB at most\n")
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            said = measured(count, Path(folder))
        sys.stdout.write(
            f"{count:9d}  {said['candidates']:10d}  {said['seconds']:7.1f} {said['cpu_s']:7.1f}"
            f"  {said['before_mb']:9.0f}  {said['peak_mb']:10.0f}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
