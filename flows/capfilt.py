"""A batch -> synthetic captions and the scores of every caption, web and synthetic.

Where a worker has picked the run up, groups of shards become runs of their own, which the workers
of the pool `gpu` share; this one follows them. In a command, or inside another flow, this process
does all of it. On Ray the cluster does.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any

from prefect import flow, runtime, unmapped

from flows.board import Board, board
from flows.capfilt_group import caption_and_score, parameters_of, shown_on, standing_of
from flows.dispatch import finished, placed, runner
from flows.environment import Machine, this_machine
from flows.quality import require_filter
from flows.runs import exact
from flows.spreading import MOST_SHARDS, POLL_S, Group, Spread
from tasks.aside import QUARANTINE
from tasks.capfilt.display import showing
from tasks.capfilt.naming import named_job
from tasks.capfilt.quarantine import reasons
from tasks.capfilt.settings import CAPTIONING, INGESTED, SCORING, CapFilt, Job
from tasks.capfilt.tally import Tally
from tasks.catalogue.verdicts import Override
from tasks.errors import LakeError
from tasks.filter_quality import THRESHOLD
from tasks.keeping import accepted_of_shard
from tasks.storage import Lake, Shard

log = logging.getLogger(__name__)

CAPTIONER = "models:/caplift-captioner@champion"
FILTER = "models:/caplift-filter@champion"
POOL = "gpu"
GROUP = "capfilt_group/capfilt_group"


@flow(name="capfilt", task_runner=runner(gpu=True))
def capfilt(  # on what, by whom, how and where
    batch: str,
    captioner: str = CAPTIONER,
    filter_model: str = FILTER,
    how: CapFilt | None = None,
    lake: str = "",
    overrides: tuple[Override, ...] = (),
) -> dict[str, str]:
    """Caption every picture of a batch and score every text it has.

    Started by itself it ends by the filter's gates; inside a pipeline they are judged later.

    Args:
        batch: a batch that was ingested.
        captioner: address of the model that writes.
        filter_model: address of the model that judges.
        how: decoding and batch size.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.
        overrides: gates that may fail, each with who takes it on and why.

    Returns:
        The batch, and the names of the runs that hold its `captions` and its `scores`.

    Raises:
        GateFailed: the filter says one thing of nearly everything, or the captioner does.
    """
    machine = this_machine()
    opened = machine.open_lake(lake)
    writer, judge = exact(opened, captioner), exact(opened, filter_model)
    job = named_job(opened, how or CapFilt(), writer, judge)
    left = _left(opened, job, batch)
    if left:
        with board("capfilt") as page:
            _do(opened, job, left, machine, page)
        for shard, reason in reasons(opened, job, left).items():
            log.warning("shard %s of %s is in quarantine: %s", shard, batch, reason)
    if not runtime.flow_run.parent_flow_run_id:
        require_filter(opened, batch, (INGESTED, job.captions, job.scores), overrides)
    return {"batch": batch, "captions": job.captions, "scores": job.scores}


def _do(lake: Lake, job: Job, left: list[Shard], machine: Machine, page: Board) -> None:
    """Have the shards done by whoever is there."""
    if machine.engine != "threads":
        _by_cluster(lake, job, left, machine, page)
    elif runtime.deployment.id and not runtime.flow_run.parent_flow_run_id:
        _by_workers(lake, job, left, page)
    else:
        with showing(f"capfilt of {left[0].batch}") as display:
            caption_and_score(lake, job, left, machine.device, shown_on(page, display))


def _by_workers(lake: Lake, job: Job, left: list[Shard], page: Board) -> None:
    counted = Counted(lake, job, left)
    spread = Spread(GROUP, parameters_of(left[0].batch, job, lake.root), f"capfilt {job.scores}")
    spread.cut([shard.name for shard in left], POOL)

    def watch(groups: Sequence[Group]) -> None:
        told = [(f"shards {g.shards[0]} to {g.shards[-1]}", g.state) for g in groups]
        page.show(standing_of(counted.now(), told))

    watch(spread.groups)
    spread.follow(watch)


def _by_cluster(lake: Lake, job: Job, left: list[Shard], machine: Machine, page: Board) -> None:
    counted = Counted(lake, job, left)
    size = min(MOST_SHARDS, -(-len(left) // machine.workers))
    groups = [left[at : at + size] for at in range(0, len(left), size)]
    with placed(gpu=True):
        futures = caption_and_score.map(
            unmapped(lake), unmapped(job), groups, unmapped(machine.device)
        )
    while any(not future.state.is_final() for future in futures):
        time.sleep(POLL_S)
        page.show(standing_of(counted.now()))
    finished(futures, f"groups of shards of {left[0].batch}")


class Counted:
    """A tally of what others commit: each shard's rows are read once, when it is done."""

    def __init__(self, lake: Lake, job: Job, shards: Sequence[Shard]) -> None:
        self.lake, self.job, self.left = lake, job, set(shards)
        self.batch = shards[0].batch
        self.tally = Tally(shards=len(shards))

    def now(self) -> Tally:
        """Return the tally after looking for shards that were done since."""
        done = self.left & set(self.lake.committed(SCORING, self.job.scores, self.batch))
        spoilt = self.left & set(self.lake.committed(QUARANTINE, self.job.scores, self.batch))
        for shard in done:
            self._count(shard)
        self.left -= done
        self.tally.done += len(done)
        self.tally.opened += len(done)
        self.tally.known = self.tally.pictures
        self.tally.spoilt = len(spoilt - done)
        return self.tally

    def _count(self, shard: Shard) -> None:
        counts: dict[str, Any] = self.lake.commit_of(CAPTIONING, self.job.captions, shard).rows
        self.tally.pictures += counts["pictures"]
        self.tally.captions += counts["captions"]
        runs = (*self.job.texts, self.job.captions)
        found = accepted_of_shard(self.lake, shard, runs, self.job.scores, THRESHOLD)
        for source, one in found.items():
            self.tally.judged[source] += one.judged
            self.tally.accepted[source] += one.accepted


def _left(lake: Lake, job: Job, batch: str) -> list[Shard]:
    """Return the shards that lack captions or scores.

    Raises:
        LakeError: some have not been ingested.
    """
    planned = lake.planned(batch)
    missing = sorted(set(planned) - set(lake.committed(INGESTED, INGESTED, batch)))
    if missing:
        raise LakeError(
            f"{len(missing)} of {len(planned)} shards of batch {batch} in {lake.root} are not "
            f"ingested, the first is {missing[0].name}; finish its ingestion, then run this again"
        )
    done = set(lake.committed(CAPTIONING, job.captions, batch))
    done &= set(lake.committed(SCORING, job.scores, batch))
    return [shard for shard in planned if shard not in done]
