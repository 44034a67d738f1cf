"""The runs of a job and the shards that they have put aside, see `tasks.aside`."""

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from tasks import aside
from tasks.capfilt.settings import Job
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
        aside.put_aside(lake, run, work.shard, reason, failed=len(work.pictures))
    log.warning("shard %s is put aside: %s", work.shard, reason)


def take_back(lake: Lake, job: Job, shard: Shard) -> None:
    """Remove the records of a shard that has been read after all."""
    for run in runs_of(job):
        aside.take_back(lake, run, shard)


def reasons(lake: Lake, job: Job, shards: Iterable[Shard]) -> dict[str, str]:
    """Return for each of these shards that is in quarantine why."""
    return aside.reasons(lake, runs_of(job), shards)
