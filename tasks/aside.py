"""Shards that a run could do nothing with: put aside with the reason, while it goes on with others.

    commits/quarantine/<run>/<batch>/<shard>.json   what could not be made of it, and why

The record is no commit of the run's own stage, so the next run tries the shard again; when that
works the record goes. The catalogue has it as a row of `stage_run`, with the reason in `versions`.
"""

import contextlib
from collections.abc import Iterable

from tasks.storage import Commit, Lake, Shard

QUARANTINE = "quarantine"


def put_aside(lake: Lake, run: str, shard: Shard, reason: str, *, failed: int) -> Commit:
    """Record why a run lacks a shard, and how many rows (1 or more) that costs it."""
    return lake.commit(
        QUARANTINE,
        run,
        shard,
        files=[],
        rows={"failed": max(1, failed)},
        seconds=0.0,
        versions={"reason": reason},
    )


def take_back(lake: Lake, run: str, shard: Shard) -> bool:
    """Remove the record of a shard that is done after all; return whether there was one."""
    path = lake.commit_path(QUARANTINE, run, shard)
    if not lake.exists(path):
        return False
    with contextlib.suppress(FileNotFoundError):  # another one has removed it meanwhile
        lake.fs.rm(lake.path(path))
    return True


def reasons(lake: Lake, runs: Iterable[str], shards: Iterable[Shard]) -> dict[str, str]:
    """Return for each of these shards that one of the runs has put aside why, by shard."""
    found: dict[str, str] = {}
    wanted = set(shards)
    for run in runs:
        for batch in {shard.batch for shard in wanted}:
            for shard in wanted.intersection(lake.committed(QUARANTINE, run, batch)):
                found[str(shard)] = lake.commit_of(QUARANTINE, run, shard).versions["reason"]
    return dict(sorted(found.items()))
