"""URL tables over the corpus: each picture once, on hosts of uneven size, with a caption."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import default_rng

from tests.benchmarks.ingest.corpus import SEED, Drawn
from tests.benchmarks.ingest.web_server import HOSTS, Web

WORDS = (
    "a",
    "the",
    "small",
    "old",
    "wooden",
    "red",
    "boat",
    "river",
    "dog",
    "tree",
    "street",
    "from",
)


def write_urls(file: Path, pictures: Sequence[Drawn], web: Web, scheme: str) -> None:
    """Write `url`, `caption` and the file's `sha256` of every picture, shuffled.

    Half of the pictures are spread evenly, half by a power law: a few hosts have many.
    """
    random = default_rng([SEED, 2_000_000])
    rows = []
    for picture in (pictures[i] for i in random.permutation(len(pictures))):
        host = int(random.integers(len(HOSTS)))
        if random.random() < 0.5:
            host = min(len(HOSTS) - 1, int(random.pareto(0.6)))
        words = random.choice(WORDS, int(random.integers(3, 25)))
        url = f"{scheme}://{HOSTS[host]}:{web.ports[scheme]}/pictures/{picture.file}"
        rows.append({"url": url, "caption": " ".join(words), "sha256": picture.sha256})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file)
