"""The engine on the same pictures and weights, rows and commit records written and all."""

import time
from pathlib import Path
from typing import Any

from tasks import rows
from tasks.capfilt.engine import capfilt_shards
from tasks.capfilt.settings import CapFilt, Job
from tasks.storage import Lake, open_lake


def run(folder: Path, batch: str, how: CapFilt, device: str) -> dict[str, Any]:
    """Do a batch of the lake and return what it cost and what came out, by key."""
    lake = open_lake(str(folder / "lake"))
    job = Job(
        captioner=str(folder / "captioner"),
        judge=str(folder / "filter"),
        captions="captions",
        scores="scores",
        how=how,
    )
    shards = lake.planned(batch)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    reports = list(capfilt_shards(lake, job, shards, device))
    cpu, wall = time.process_time() - cpu_s, time.perf_counter() - wall_s
    pictures = sum(report.counts["pictures"] for report in reports)
    found = {key: one for shard in shards for key, one in _answers(lake, job, shard).items()}
    return {"cpu_s": cpu / pictures, "images_per_s": pictures / wall, "found": found}


def _answers(lake: Lake, job: Job, shard: Any) -> dict[str, dict[str, Any]]:
    written = rows.read_rows(lake, lake.rows("captions", job.captions, shard)).to_pylist()
    scores = rows.read_rows(lake, lake.rows("scores", job.scores, shard)).to_pylist()
    new = {row["caption_id"] for row in written}
    found = {row["key"]: {"caption": row["text"]} for row in written}
    for row in scores:
        source = "synthetic" if row["caption_id"] in new else "web"
        found[row["key"]][source] = row["itm_probability"]
    return found
