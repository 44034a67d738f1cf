"""Selections -> a pretrained BLIP."""

from prefect import flow

from flows.dispatch import job_task
from flows.environment import this_machine
from flows.quality import require_sound
from flows.runs import contents, run_name
from flows.training import Registering, registered, trained
from tasks import pretraining as stage
from tasks.catalogue.verdicts import Override
from tasks.launching import PRETRAINING
from tasks.storage import Lake


@job_task("pretrain {run}")
def pretrain(lake: Lake, run: str, selections: tuple[str, ...], how: stage.Pretraining) -> str:
    """Pretrain to the end, or from the newest checkpoint on; return the model's address."""
    return trained(lake, run, PRETRAINING, selections, how)


@flow(name="pretraining")
def pretraining(
    selections: tuple[str, ...],
    how: stage.Pretraining | None = None,
    lake: str = "",
    overrides: tuple[Override, ...] = (),
    registering: Registering | None = None,
) -> str:
    """Train BLIP on one or more selections whose gates have not failed.

    Args:
        selections: ids, as the selection stage returned them.
        how: size, start, steps and rates.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.
        overrides: gates that may fail, each with who takes it on and why.
        registering: how the model enters the registry as caplift-blip; inside a pipeline it does
            at its end.

    Returns:
        The model's address in the lake: checkpoints/<run>/<step>.
    """
    opened = this_machine().open_lake(lake)
    settings = how or stage.Pretraining()
    run = run_name("pretraining", settings, contents(opened, selections))
    require_sound(opened, run, selections, overrides)
    uri = pretrain(opened, run, selections, settings)
    registered(opened, "caplift-blip", uri, registering)
    return uri
