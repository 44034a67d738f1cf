"""A group of shards -> captions and scores, by one process that keeps its models loaded."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

from prefect import flow

from flows.board import Board, Standing, board
from flows.dispatch import job_task
from flows.environment import this_machine
from tasks.capfilt.display import Display, showing
from tasks.capfilt.judged import capfilt_job
from tasks.capfilt.settings import Job
from tasks.capfilt.tally import Tally
from tasks.capfilt.writing import ShardReport
from tasks.storage import Lake, Shard

Watch = Callable[[Tally], None]


def _unwatched(_: Tally) -> None:
    """Show nothing."""


@job_task("caption and score {shards[0]} and on")
def caption_and_score(
    lake: Lake, job: Job, shards: Sequence[Shard], device: str, watch: Watch = _unwatched
) -> list[ShardReport]:
    """Caption and score what is left of a group of shards."""
    return list(capfilt_job(lake, job, shards, device, watch))


@flow(name="capfilt_group")
def capfilt_group(batch: str, shards: tuple[str, ...], job: Job, lake: str = "") -> dict[str, int]:
    """Caption and score a group of a batch's shards; the flow capfilt starts it on GPU workers.

    Args:
        batch: a batch that was ingested.
        shards: names of some of its shards.
        job: models, runs and settings.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        How many of the shards were `done` by this run, and how many are in `quarantine`.
    """
    machine = this_machine()
    opened = machine.open_lake(lake)
    named = [Shard(batch, name) for name in shards]
    with board("capfilt") as page, showing(f"capfilt of {batch}") as display:
        watch = shown_on(page, display)
        reports = caption_and_score(opened, job, named, machine.device, watch)
    spoilt = sum(bool(report.spoilt) for report in reports)
    return {"done": len(reports) - spoilt, "quarantine": spoilt}


def shown_on(page: Board, display: Display) -> Watch:
    """Return what shows a tally on a run's page, and at the terminal or in the log."""

    def watch(tally: Tally) -> None:
        page.show(standing_of(tally))
        display(tally)

    return watch


def standing_of(tally: Tally, groups: Sequence[tuple[str, str]] = ()) -> Standing:
    """Return how far a job is, as its page shows it.

    Args:
        tally: what was counted so far.
        groups: the name and state of each group of shards, where there are several.
    """
    ended = tally.done + tally.spoilt
    rows = [
        ("pictures", f"{tally.pictures:,}"),
        ("shards", f"{ended:,} of {tally.shards:,}"),
        ("images/s", f"{tally.images_per_s:.1f}"),
    ]
    if tally.left_s is not None and ended < tally.shards:
        rows.append(("about left", f"{tally.left_s:.0f} s"))
    rows += [
        (f"{source} texts accepted", f"{tally.accepted[source] / judged:.1%} of {judged:,}")
        for source, judged in sorted(tally.judged.items())
    ]
    if tally.spoilt:
        rows.append(("shards in quarantine", f"{tally.spoilt:,}"))
    listed = [{"what": what, "so far": so_far} for what, so_far in (*rows, *groups)]
    share = ended / tally.shards if tally.shards else 1.0
    return Standing(share, tally.line(), listed)


def parameters_of(batch: str, job: Job, lake: str) -> dict[str, object]:
    """Return what all groups of a batch have in common, as JSON has it."""
    return {"batch": batch, "job": asdict(job), "lake": lake}
