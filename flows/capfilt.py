"""A batch -> synthetic captions and the scores of every caption, web and synthetic."""

from prefect import flow, unmapped

from flows.dispatch import finished, placed, runner, shard_task
from flows.environment import this_machine
from flows.runs import exact, run_name
from tasks import capfilt as stage

CAPTIONER = "models:/caplift-captioner@champion"
FILTER = "models:/caplift-filter@champion"
INGESTED = "ingestion"  # the run whose captions are the web's and the humans' own texts

caption_shard = shard_task("caption {shard}")(stage.caption_shard)
score_shard = shard_task("score {shard}")(stage.score_shard)


@flow(name="capfilt", task_runner=runner(gpu=True))
def capfilt(
    batch: str,
    captioner: str = CAPTIONER,
    filter_model: str = FILTER,
    how: stage.CapFilt | None = None,
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
    """
    machine = this_machine()
    opened = machine.open_lake(lake)
    settings = how or stage.CapFilt()
    shards = opened.planned(batch)
    writer, judge = exact(opened, captioner), exact(opened, filter_model)
    captions = run_name("captions", settings, writer)
    scores = run_name("scores", settings, judge, captions)
    fixed = (unmapped(settings), unmapped(machine.device))
    with placed(gpu=True):
        written = caption_shard.map(
            unmapped(opened), unmapped(captions), shards, unmapped(writer), *fixed
        )
        finished(written, f"shards of {batch} captioned")
        runs = unmapped((INGESTED, captions))
        judged = score_shard.map(
            unmapped(opened), unmapped(scores), shards, runs, unmapped(judge), *fixed
        )
        finished(judged, f"shards of {batch} scored")
    return {"batch": batch, "captions": captions, "scores": scores}
