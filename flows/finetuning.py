"""A pretrained BLIP and human captions -> a captioner and a filter."""

from prefect import flow

from flows.dispatch import job_task
from flows.environment import this_machine
from flows.quality import require_sound
from flows.runs import contents, exact, run_name
from flows.training import followed
from tasks.catalogue.verdicts import Override
from tasks.finetuning import stage
from tasks.finetuning.settings import Finetuning
from tasks.storage import Lake


@job_task("captioner {run}")
def captioner(
    lake: Lake, run: str, start: str, selections: tuple[str, ...], how: Finetuning
) -> str:
    """Finetune a captioner (language loss only); return its address."""
    device = this_machine().device
    steps = stage.finetune_captioner(lake, run, start, selections, how, device)
    return followed(lake, run, selections, how, steps)


@job_task("filter {run}")
def caption_filter(
    lake: Lake, run: str, start: str, selections: tuple[str, ...], how: Finetuning
) -> str:
    """Finetune a filter (contrastive and matching losses); return its address."""
    device = this_machine().device
    steps = stage.finetune_filter(lake, run, start, selections, how, device)
    return followed(lake, run, selections, how, steps)


@flow(name="finetuning")
def finetuning(
    start: str,
    selections: tuple[str, ...],
    captioning: Finetuning | None = None,
    filtering: Finetuning | None = None,
    lake: str = "",
    overrides: tuple[Override, ...] = (),
) -> dict[str, str]:
    """Finetune both models of CapFilt from the same start.

    Args:
        start: address of the pretrained model.
        selections: ids of human-written captions.
        captioning: settings of the captioner.
        filtering: settings of the filter.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.
        overrides: gates that may fail, each with who takes it on and why.

    Returns:
        The addresses of the `captioner` and of the `filter`.
    """
    opened = this_machine().open_lake(lake)
    words = captioning or Finetuning()
    match = filtering or Finetuning()
    begun = exact(opened, start)
    seen = contents(opened, selections)
    writer = run_name("captioner", words, begun, seen)
    judge = run_name("filter", match, begun, seen)
    require_sound(opened, writer, selections, overrides)
    return {
        "captioner": captioner(opened, writer, begun, selections, words),
        "filter": caption_filter(opened, judge, begun, selections, match),
    }
