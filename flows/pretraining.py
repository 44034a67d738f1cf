"""Selections -> a pretrained BLIP."""

from prefect import flow

from flows.dispatch import job_task
from flows.environment import revision, this_machine
from flows.quality import require_sound
from flows.runs import contents, run_name
from flows.training import followed
from tasks import pretraining as stage
from tasks.catalogue.verdicts import Override
from tasks.storage import Lake


@job_task("pretrain {run}")
def pretrain(lake: Lake, run: str, selections: tuple[str, ...], how: stage.Pretraining) -> str:
    """Pretrain to the end, or from the newest checkpoint on; return the model's address."""
    device = this_machine().device
    steps = stage.pretrain(lake, run, selections, how, device, revision())
    return followed(lake, run, selections, how, steps)


@flow(name="pretraining")
def pretraining(
    selections: tuple[str, ...],
    how: stage.Pretraining | None = None,
    lake: str = "",
    overrides: tuple[Override, ...] = (),
) -> str:
    """Train BLIP on one or more selections whose gates have not failed.

    Args:
        selections: ids, as the selection stage returned them.
        how: size, start, steps and rates.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.
        overrides: gates that may fail, each with who takes it on and why.

    Returns:
        The model's address in the lake: checkpoints/<run>/<step>.
    """
    opened = this_machine().open_lake(lake)
    settings = how or stage.Pretraining()
    run = run_name("pretraining", settings, contents(opened, selections))
    require_sound(opened, run, selections, overrides)
    return pretrain(opened, run, selections, settings)
