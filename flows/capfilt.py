"""A batch -> synthetic captions and the scores of every caption, web and synthetic."""

from prefect import flow, unmapped

from flows.dispatch import finished, placed, runner, shard_task
from flows.environment import this_machine
from flows.runs import exact
from tasks.capfilt import settings, stage
from tasks.capfilt.naming import named_job
from tasks.errors import LakeError

CAPTIONER = "models:/caplift-captioner@champion"
FILTER = "models:/caplift-filter@champion"
INGESTED = settings.INGESTED
# A task's worth: batches are refilled from shard to shard within it, each shard commits alone.
SHARDS_A_TASK = 16

capfilt_group = shard_task("capfilt {shards}")(stage.capfilt_group)


@flow(name="capfilt", task_runner=runner(gpu=True))
def capfilt(
    batch: str,
    captioner: str = CAPTIONER,
    filter_model: str = FILTER,
    how: settings.CapFilt | None = None,
    lake: str = "",
) -> dict[str, str]:
    """Caption every picture of a batch and score every text it has.

    Args:
        batch: a batch that was ingested.
        captioner: address of the model that writes.
        filter_model: address of the model that judges.
        how: decoding and batch size.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        The batch, and the names of the runs that hold its `captions` and its `scores`.

    Raises:
        LakeError: a shard could not be read; the others are done.
    """
    machine = this_machine()
    opened = machine.open_lake(lake)
    shards = opened.planned(batch)
    addresses = (exact(opened, captioner), exact(opened, filter_model))
    job = named_job(opened, how or settings.CapFilt(), *addresses)
    groups = [shards[at : at + SHARDS_A_TASK] for at in range(0, len(shards), SHARDS_A_TASK)]
    with placed(gpu=True):
        done = capfilt_group.map(unmapped(opened), unmapped(job), groups, unmapped(machine.device))
        reports = finished(done, f"groups of shards of {batch} captioned and scored")
    spoilt = [report for group in reports for report in group if report.spoilt]
    if spoilt:
        raise LakeError(
            f"{len(spoilt)} shards of {batch} could not be read and are in quarantine, the first "
            f"is {spoilt[0].shard}: {spoilt[0].spoilt}"
        )
    return {"batch": batch, "captions": job.captions, "scores": job.scores}
