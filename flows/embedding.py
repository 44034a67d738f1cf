"""Captions that were kept -> one vector for the picture and one for the text of each pair."""

import logging
from collections.abc import Sequence

from prefect import flow, runtime, unmapped
from prefect.events import emit_event

from flows.dispatch import finished, placed, runner, shard_task
from flows.environment import this_machine
from flows.runs import exact, run_name
from tasks import embedding as stage
from tasks.aside import QUARANTINE
from tasks.errors import LakeError
from tasks.storage import Commit

log = logging.getLogger(__name__)

CHAMPION = "models:/caplift-blip@champion"
EMBEDDED = "caplift.embedding.completed"  # infra/prefect.yaml starts rbm on it

embed_shard = shard_task("embed {shard}")(stage.embed_shard)


@flow(name="embedding", task_runner=runner(gpu=True))
def embedding(
    batches: tuple[str, ...],
    model: str = CHAMPION,
    chosen: str | tuple[str, ...] = ("ingestion",),
    how: stage.Embedding | None = None,
    lake: str = "",
) -> str:
    """Embed the pictures and texts of whole batches.

    Args:
        batches: what to embed.
        model: address of the model.
        chosen: a selection's id, or the runs whose captions are all embedded; "ingestion" stands
            for the web's and the humans' own.
        how: batch size and text length.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        The name of the run that holds the vectors.

    Raises:
        LakeError: no shard could be embedded.
    """
    machine = this_machine()
    opened = machine.open_lake(lake)
    settings = how or stage.Embedding()
    address = exact(opened, model)
    run = run_name("vectors", settings, address, chosen)
    shards = [shard for batch in batches for shard in opened.planned(batch)]
    with placed(gpu=True):
        futures = embed_shard.map(
            unmapped(opened),
            unmapped(run),
            shards,
            unmapped(chosen),
            unmapped(address),
            unmapped(settings),
            unmapped(machine.device),
        )
    _look_at(finished(futures, "shards embedded"))
    if not runtime.flow_run.parent_flow_run_id:  # inside a pipeline the next stage is called
        emit_event(
            EMBEDDED,
            resource={"prefect.resource.id": f"caplift.vectors.{run}"},
            payload={"lake": opened.root, "vectors": run, "batches": list(batches)},
        )
    return run


def _look_at(records: Sequence[Commit]) -> None:
    """Say how many shards could not be read, and end the run where that is all of them."""
    spoilt = [record for record in records if record.stage == QUARANTINE]
    if not spoilt:
        return
    told = f"{len(spoilt)} of {len(records)} shards could not be embedded and are in quarantine"
    first = f"the first is {spoilt[0].shard}: {spoilt[0].versions['reason']}"
    if len(spoilt) == len(records):
        raise LakeError(f"{told}, {first}")
    log.warning("%s, %s", told, first)
