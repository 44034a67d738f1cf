"""A selection -> ordinary WebDataset shards, for trainers that know nothing of the lake."""

from pathlib import Path

from prefect import flow

from flows.dispatch import job_task
from flows.environment import this_machine
from flows.quality import require_sound
from tasks import shards
from tasks.catalogue.verdicts import Override

publish_selection = job_task("publish {selection_id}")(shards.publish_selection)


@flow(name="publish")
def publish(
    selection: str, folder: str, lake: str = "", overrides: tuple[Override, ...] = ()
) -> dict[str, int | str]:
    """Write the shards of a selection whose gates have not failed; those that are there stay.

    Args:
        selection: the selection's id.
        folder: where the shards go, on this machine's disk.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.
        overrides: gates that may fail, each with who takes it on and why.

    Returns:
        The folder, and how many samples it holds.
    """
    opened = this_machine().open_lake(lake)
    require_sound(opened, f"publish-{selection}", (selection,), overrides)
    samples = publish_selection(opened, selection, Path(folder))
    return {"folder": folder, "samples": samples}
