"""A pretrained BLIP and what people wrote -> a captioner, a filter, a model that answers."""

from pathlib import Path

from prefect import flow

from flows.dispatch import job_task
from flows.environment import this_machine
from flows.quality import require_sound
from flows.runs import contents, exact, run_name
from flows.training import Registering, registered, trained
from tasks.catalogue.verdicts import Override
from tasks.contenders import ANSWERER
from tasks.errors import InputError
from tasks.finetuning.settings import Finetuning
from tasks.finetuning.stage import FINETUNE
from tasks.pairs.taking import take_pairs
from tasks.storage import Lake

ANSWERS = "vqa"
# What each kind is registered as.
REGISTERED = {"captioner": "caplift-captioner", "filter": "caplift-filter", ANSWERS: ANSWERER}


@job_task("{kind} {run}")
def finetune(
    lake: Lake, run: str, kind: str, start: str, selections: tuple[str, ...], how: Finetuning
) -> str:
    """Finetune to the end, or from the newest checkpoint on; return the model's address."""
    return trained(lake, run, kind, selections, how, start)


@job_task("take {source}")
def take(lake: Lake, source: str, images: str, questions: bool) -> str:
    """Take a person's own pictures into the lake; return the selection of their texts."""
    where = Path(images).expanduser() if images else None
    return take_pairs(lake, Path(source).expanduser(), questions=questions, images=where)


@flow(name="finetuning")
def finetuning(  # noqa: PLR0913  # a deployment's parameters
    start: str,
    selections: tuple[str, ...] = (),
    captioning: Finetuning | None = None,
    filtering: Finetuning | None = None,
    lake: str = "",
    overrides: tuple[Override, ...] = (),
    kinds: tuple[str, ...] = ("captioner", "filter"),
    answering: Finetuning | None = None,
    source: str = "",
    images: str = "",
    registering: Registering | None = None,
) -> dict[str, str]:
    """Finetune models from the same start: both of CapFilt, or those that are named.

    Args:
        start: address of the pretrained model.
        selections: ids of human-written captions; for "vqa", of questions with their answers.
        captioning: settings of the captioner.
        filtering: settings of the filter.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.
        overrides: gates that may fail, each with who takes it on and why.
        kinds: some of "captioner", "filter", "vqa".
        answering: settings of the model that answers.
        source: instead of selections a person's own pictures: a folder, a .jsonl, .json, .parquet
            or .tar file, or a folder of those, as `tasks.pairs.reading` has them.
        images: where the pictures of a list lie; empty means beside it.
        registering: how the models enter the registry; inside a pipeline they do at its end.

    Returns:
        The address of each kind.

    Raises:
        InputError: a kind is unknown, or selections and source are both given or both missing.
    """
    opened = this_machine().open_lake(lake, create=bool(source))
    _check(kinds, selections, source)
    begun = exact(opened, start)
    chosen = {"captioner": captioning, "filter": filtering, ANSWERS: answering}
    made = {}
    for kind in kinds:
        how = chosen[kind] or Finetuning()
        learned = selections
        if source:
            learned = (take(opened, source, images, kind == ANSWERS),)
        run = run_name(kind, how, begun, contents(opened, learned))
        if not source:
            require_sound(opened, run, learned, overrides)
        made[kind] = finetune(opened, run, kind, begun, learned, how)
        registered(opened, REGISTERED[kind], made[kind], registering)
    return made


def _check(kinds: tuple[str, ...], selections: tuple[str, ...], source: str) -> None:
    odd = [kind for kind in kinds if kind not in FINETUNE]
    if odd or not kinds:
        raise InputError(f"kinds are of {', '.join(FINETUNE)}, not {', '.join(odd) or 'none'}")
    if bool(selections) == bool(source):
        raise InputError(
            "finetuning learns from selections of the lake or from a source of your own: name one "
            "of the two"
        )
