"""Shards that cannot be read: put aside with the reason, while the run goes on with the others.

    commits/quarantine/<run>/<batch>/<shard>.json   what could not be made of it, and why

The record is no commit of captioning or scoring, so the next run tries the shard again; when that
works the record goes. The catalogue has it as a row of `stage_run`, with the reason in `versions`.
"""

import contextlib
import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from tasks.capfilt.settings import QUARANTINE, Job
from tasks.storage import Lake, Shard

log = logging.getLogger(__name__)


class Spoilt(Protocol):
    """What is known of a shard that cannot be read."""

    @property
    def shard(self) -> Shard: ...  # noqa: D102
    @property
    def writes(self) -> bool: ...  # noqa: D102
    @property
    def judges(self) -> bool: ...  # noqa: D102
    @property
    def pictures(self) -> Sequence[object]: ...  # noqa: D102


def runs_of(job: Job) -> list[str]:
    """Return the runs that a job fills."""
    return [run for run in (job.captions * bool(job.captioner), job.scores) if run]


def put_aside(lake: Lake, job: Job, work: Spoilt, reason: str) -> None:
    """Record for each run that lacks the shard why it does, and how many pictures that costs."""
    wanting = {job.captions: work.writes, job.scores: work.judges}
    for run in [run for run in runs_of(job) if wanting[run]]:
        lake.commit(
            QUARANTINE,
            run,
            work.shard,
            files=[],
            rows={"failed": max(1, len(work.pictures))},
            seconds=0.0,
            versions={"reason": reason},
        )
    log.warning("shard %s is put aside: %s", work.shard, reason)


def take_back(lake: Lake, job: Job, shard: Shard) -> None:
    """Remove the records of a shard that has been read after all."""
    for run in runs_of(job):
        path = lake.commit_path(QUARANTINE, run, shard)
        if lake.exists(path):
            with contextlib.suppress(FileNotFoundError):
                lake.fs.rm(lake.path(path))


def reasons(lake: Lake, job: Job, shards: Iterable[Shard]) -> dict[str, str]:
    """Return for each of these shards that is in quarantine why."""
    found: dict[str, str] = {}
    wanted = set(shards)
    for run in runs_of(job):
        for batch in {shard.batch for shard in wanted}:
            for shard in wanted.intersection(lake.committed(QUARANTINE, run, batch)):
                found[str(shard)] = lake.commit_of(QUARANTINE, run, shard).versions["reason"]
    return dict(sorted(found.items()))
