"""A capfilt job whole: its filter judges the canary, and then its shards are done."""

from collections.abc import Callable, Iterator, Sequence

from tasks.canary.judging import CanaryTest, judge_canary
from tasks.capfilt.engine import capfilt_shards, precision
from tasks.capfilt.settings import SCORING, Job
from tasks.capfilt.tally import Tally
from tasks.capfilt.writing import ShardReport
from tasks.inference import shared_model
from tasks.storage import Lake, Shard


def capfilt_job(
    lake: Lake,
    job: Job,
    shards: Sequence[Shard],
    device: str = "cpu",
    watch: Callable[[Tally], None] = lambda _: None,
) -> Iterator[ShardReport]:
    """Judge the canary, caption and score a group of shards; yield what came of each.

    The canary comes first, so that a filter that fails it is known before the job's hours; of
    several groups of a job, that which comes first judges it.

    Args:
        lake: where everything lies.
        job: models, runs and settings.
        shards: in any order.
        device: "cpu" or "cuda".
        watch: told after every batch how far the group is.

    Raises:
        InputError: the canary cannot be used.
        LakeError: the lake cannot be written.
        ModelError: a model is missing or damaged, or one picture does not fit the device.
    """
    how = job.how
    test = CanaryTest(table=how.canary, batch_size=how.batch_size, max_length=how.max_length)
    left = [shard for shard in shards if not lake.is_committed(SCORING, job.scores, shard)]
    for batch in sorted({shard.batch for shard in left if job.judge}):
        dtype = precision(how.dtype, device)
        judge = shared_model(lake, job.judge, device, "filter", dtype)
        judge_canary(lake, job.scores, batch, judge, test)
    yield from capfilt_shards(lake, job, shards, device, watch)
