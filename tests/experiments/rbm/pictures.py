"""Pictures that no model of the demo has seen: scenes of another seed, fetched as any others.

The demo's own held-out batch has 500 pictures; a difference of one point of recall needs thousands.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tasks.demo.planting import Site
from tasks.demo.server import serving
from tasks.demo.site import build_site
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.stage import plan
from tasks.ingestion.workers import ingest
from tasks.storage import Lake, Shard

HOW = Ingestion(shard_size=500, allow_private_hosts=("127.0.0.1",))


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenes:
    """Which scenes are drawn.

    Attributes:
        batch: how their batch's name begins.
        seed: of the scenes; the demo's own is 0.
        port: fixed, since a picture's key, and with it each caption's seed, is made of its address.
    """

    batch: str = "drawn"
    seed: int = 20261121
    port: int = 8041


CHOSEN_FOR = Scenes()


def drawn_pictures(lake: Lake, count: int, scenes: Scenes = CHOSEN_FOR) -> list[Shard]:
    """Draw, serve and ingest `count` pictures with three captions each, or find them there."""
    batch = f"{scenes.batch}-{count}"
    if batch in lake.batches():
        shards = lake.planned(batch)
        if all(lake.is_committed("ingestion", "ingestion", shard) for shard in shards):
            return shards
    site = Site(
        pictures=1,
        seed_pictures=1,
        evaluation_pictures=count,
        port=scenes.port,
        seed=scenes.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        built = build_site(Path(folder) / "site", site)
        # The table's place is part of the plan, and a stopped run finds it there again.
        table = lake.local_path("tables") / f"{batch}.jsonl"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_bytes((built.folder / "evaluation.jsonl").read_bytes())
        shards = plan(lake, Source(batch=batch, kind="human", tables=(str(table),)), HOW)
        with serving(built.folder / "www", scenes.port):
            ingest(lake, shards, HOW)
    return shards
