"""Pages or URL tables -> shards of pictures with one row for every candidate."""

from dataclasses import replace

from prefect import flow, runtime, unmapped
from prefect.events import emit_event

from flows.dispatch import finished, placed, runner, shard_task
from flows.environment import Machine, this_machine
from tasks.ingestion import duplicates, stage, workers
from tasks.ingestion.display import showing
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources.planning import RUN, STAGE, candidates_left
from tasks.storage import Commit, Lake, Shard

GROUP = 8  # shards of a task on a cluster: minutes of work
READY = "caplift.ingestion.completed"  # infra/prefect.yaml starts capfilt on it

plan = shard_task("plan {source.batch}", timeout_s=4 * 3600)(stage.plan)
ingest = shard_task("ingest {shards[0]} and on", timeout_s=7 * 24 * 3600)(workers.ingest)
mark_duplicates = shard_task("duplicates of {batch}")(duplicates.mark_duplicates)


@flow(name="ingestion", task_runner=runner())
def ingestion(source: Source, how: Ingestion | None = None, lake: str = "") -> dict[str, int | str]:
    """Plan a batch, fetch every shard of it and mark its duplicate pictures.

    Args:
        source: the batch's name and its pages or URL tables.
        how: limits and politeness.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        The batch, and its counts: shards, planned, kept, duplicates.
    """
    machine = this_machine()
    opened = machine.open_lake(lake, create=True)
    chosen = how or Ingestion()
    settings = replace(chosen, contact=chosen.contact or machine.contact)
    shards = plan(opened, source, settings)
    _ingested(opened, shards, settings, machine)
    commits = [opened.commit_of(STAGE, RUN, shard) for shard in shards]
    twins = mark_duplicates(opened, source.batch, settings)
    counts = {"shards": len(shards), **_summed(commits), **twins.rows}
    if not runtime.flow_run.parent_flow_run_id:  # inside a pipeline the next stage is called
        _announce(source, opened.root)
    return {"batch": source.batch, **counts}


def _ingested(lake: Lake, shards: list[Shard], how: Ingestion, machine: Machine) -> None:
    """Ingest what is left: here with a process a core, on a cluster with a task a group."""
    left = [shard for shard in shards if not lake.is_committed(STAGE, RUN, shard)]
    if not left:
        return
    batch = left[0].batch
    if machine.engine == "threads":
        total = candidates_left(lake, batch)
        with showing(batch, total, machine.workers) as display:
            ingest(lake, left, how, machine.workers, display)
        return
    groups = [left[at : at + GROUP] for at in range(0, len(left), GROUP)]
    with placed():
        futures = ingest.map(
            unmapped(lake), groups, unmapped(workers.share(how, machine.workers)), unmapped(1)
        )
    finished(futures, f"groups of shards of {batch} fetched")


def _summed(commits: list[Commit]) -> dict[str, int]:
    names = {name for commit in commits for name in commit.rows}
    return {name: sum(c.rows.get(name, 0) for c in commits) for name in sorted(names)}


def _announce(source: Source, lake: str) -> None:
    """Tell Prefect that the batch is there, so that deployments waiting for it start."""
    emit_event(
        READY,
        resource={
            "prefect.resource.id": f"caplift.batch.{source.batch}",
            "caplift.kind": source.kind,
        },
        payload={"lake": lake, "batch": source.batch},
    )
