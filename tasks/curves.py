"""The curve of a training run, for the catalogue and the report: metrics/<run>.parquet."""

from collections import defaultdict
from collections.abc import Iterable

import pyarrow as pa

from tasks.rows import read_rows, table_of, write_rows
from tasks.storage import Lake

CURVE = pa.schema({"step": pa.int64(), "name": pa.string(), "value": pa.float64()}.items())


def write_curve(lake: Lake, run: str, points: Iterable[tuple[int, str, float]]) -> None:
    """Publish (step, name, value) points together with those of the run's earlier attempts.

    A resumed run repeats the steps after its last checkpoint; its later word holds.
    """
    path = f"metrics/{run}.parquet"
    known: dict[tuple[int, str], float] = {}
    if lake.exists(path):
        before = read_rows(lake, path).to_pylist()
        known = {(row["step"], row["name"]): row["value"] for row in before}
    new = {(step, name): value for step, name, value in points}
    if new:
        merged = sorted((known | new).items())
        found = [{"step": at[0], "name": at[1], "value": value} for at, value in merged]
        write_rows(lake, path, table_of(found, CURVE))


def read_curve(lake: Lake, run: str) -> dict[str, list[tuple[float, float]]]:
    """Return the (step, value) points of each name, in order; empty when there are none."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    path = f"metrics/{run}.parquet"
    for row in read_rows(lake, path).to_pylist() if lake.exists(path) else []:
        found[row["name"]].append((float(row["step"]), row["value"]))
    return dict(found)
