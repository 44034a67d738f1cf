"""Finetuning the two halves of CapFilt on human captions: a writer and a judge.

Both start from the same pretrained model and are trained apart: sharing them lets the judge
forgive what the writer gets wrong (Li et al. 2022, table 4).
"""

import functools
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from models.batches import Batch
from models.blip import Blip
from models.captioner import generate
from models.decoding import Decoding
from models.momentum import Momentum
from models.objective import Objective, Step, advance, brief, captioner_loss, filter_losses
from models.preprocessing import pixels_for
from models.rbm.pmi import joint_machine
from models.rbm_tokens import hidden_field
from models.schedules import ramped
from tasks.bounds import at_least
from tasks.checkpoints import Checkpoint, LoadedModel, load_model
from tasks.degenerate import is_degenerate
from tasks.errors import InputError, ModelError
from tasks.fitted import rbm_of
from tasks.jobs import Job, job_of
from tasks.regimen import Regimen
from tasks.samples import Samples
from tasks.storage import Lake
from tasks.training import Learner, StepMetrics, train

log = logging.getLogger(__name__)

PICTURES_LOOKED_AT = 64
COLLAPSED_SHARE = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class Finetuning(Regimen):
    """How a half is finetuned; what `Regimen` has, and these.

    Attributes:
        prompt: what every caption is made to begin with, "a picture of" in BLIP; captioner only.
        objective: None takes `models.objective.brief(steps)`.
        alpha_epochs: over how many epochs the teacher's share rises; filter only.
        decoding: how the captions are written that are looked at for a collapse.
        rbm: a fitted RBM whose hidden units become tokens that the decoder may look at: the run of
            one in the lake, or an address such as `models:/caplift-rbm@champion`; it was fitted on
            vectors of the start. Empty for none; captioner only.
        rbm_tokens: how many tokens.
    """

    steps: int = 200
    learning_rate: float = 3e-4
    prompt: str = ""
    objective: Objective | None = None
    alpha_epochs: float = 1.0
    decoding: Decoding = field(default_factory=Decoding)
    rbm: str = ""
    rbm_tokens: int = 4

    def __post_init__(self) -> None:
        Regimen.__post_init__(self)
        at_least(0, self, "alpha_epochs")
        at_least(1, self, "rbm_tokens")

    @property
    def objective_used(self) -> Objective:
        """The objective given, or the one that suits the number of steps."""
        return self.objective or brief(self.steps)


def finetune_captioner(
    lake: Lake,
    run: str,
    start: str,
    selections: tuple[str, ...],
    how: Finetuning,
    device: str = "cpu",
) -> Iterator[StepMetrics]:
    """Finetune the decoder to write captions like the selected ones, yielding each step.

    The final checkpoint's facts say under `collapse` whether it writes one text for all pictures.

    Args:
        lake: where everything lies.
        run: the run's name; the result is `checkpoints/<run>`.
        start: address of the pretrained model.
        selections: ids of human-labelled selections.
        how: settings.
        device: "cpu" or "cuda".

    Raises:
        InputError: a selection is missing or empty, or the run was begun with other settings.
        ModelError: the start is missing or damaged, or the run diverged.
    """
    job, found = _job(lake, run, (start, "captioner"), selections, how, device)
    if job.is_done(found):
        return
    loaded, samples = _loaded(job, found, start, selections, how)
    model, objective = loaded.model, how.objective_used
    if how.rbm and found is None:
        _hear(lake, model, how)

    def losses(batch: Batch, _: int, generator: torch.Generator) -> dict[str, Tensor]:
        return captioner_loss(model, batch, generator, objective, job.team.ranks)

    def closing_facts(trained: Blip) -> Mapping[str, Any]:
        return {"collapse": collapse(replace(loaded, model=trained), samples, how)}

    learner = Learner(
        model, loaded.tokenizer, losses, prompt=how.prompt, closing_facts=closing_facts
    )
    yield from train(job, learner, samples, how, found)


def finetune_filter(
    lake: Lake,
    run: str,
    start: str,
    selections: tuple[str, ...],
    how: Finetuning,
    device: str = "cpu",
) -> Iterator[StepMetrics]:
    """Finetune the encoders and the matching head to judge pairs; as `finetune_captioner`.

    Negatives are drawn by likeness, and two texts of one picture are never each other's.
    """
    if how.rbm:
        raise InputError(f"a filter has no decoder to read the RBM {how.rbm}; leave rbm empty")
    job, found = _job(lake, run, (start, "filter"), selections, how, device)
    if job.is_done(found):
        return
    loaded, samples = _loaded(job, found, start, selections, how)
    model, objective = loaded.model, how.objective_used
    momentum = Momentum(model, objective.queue_size, dropout=objective.teacher_dropout)
    ramp_steps = round(how.alpha_epochs * len(samples) / how.batch_size)

    def losses(batch: Batch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        alpha = ramped(objective.alpha, step, ramp_steps)
        ranks = job.team.ranks
        return filter_losses(
            Step(model, momentum, batch, alpha, generator, objective, ranks, moves=False)
        )

    before = functools.partial(advance, model, momentum, objective)
    learner = Learner(model, loaded.tokenizer, losses, momentum, before=before)
    yield from train(job, learner, samples, how, found)


def _job(  # both halves' arguments
    lake: Lake,
    run: str,
    role: tuple[str, str],
    selections: tuple[str, ...],
    how: Finetuning,
    device: str,
) -> tuple[Job, Checkpoint | None]:
    start, half = role
    facts = {"stage": "finetuning", "half": half, "start": start, "settings": asdict(how)}
    job = job_of(lake, run, selections, device, facts)
    return job, job.resume()


def _loaded(
    job: Job,
    found: Checkpoint | None,
    start: str,
    selections: tuple[str, ...],
    how: Finetuning,
) -> tuple[LoadedModel, Samples]:
    """Load the start, or what the run has reached, and the samples."""
    loaded = load_model(job.lake, found.uri if found else start, job.device)
    size = loaded.model.shape.vision.image_size
    samples = Samples(job.lake, selections, how.stored_size(size))
    kept = found.facts if found else {"started_from": loaded.name, "start_facts": loaded.facts}
    for name in ("started_from", "start_facts"):
        job.facts[name] = kept[name]
    job.facts.update(samples=len(samples), pictures=len(samples.pictures))
    return loaded, samples


def _hear(lake: Lake, model: Blip, how: Finetuning) -> None:
    """Give the decoder the tokens of a fitted RBM."""
    fitted = rbm_of(lake, how.rbm)
    joint = joint_machine(fitted.machine, fitted.whitener, fitted.metrics["log_z"])
    try:
        model.hear(hidden_field(joint, fitted.whitener), how.rbm_tokens, how.seed)
    except ValueError as error:
        raise ModelError(f"the RBM {how.rbm}: {error}") from error


@torch.no_grad()
def collapse(loaded: LoadedModel, samples: Samples, how: Finetuning) -> dict[str, Any]:
    """Write captions for some training pictures and say whether they are all one, or loops.

    Returns:
        `pictures` looked at, `distinct` captions, `commonest` and its share, `degenerate` share,
        and `collapsed`: a share above 0.8 of either.
    """
    n = min(PICTURES_LOOKED_AT, len(samples.pictures))
    places = [i * len(samples.pictures) // n for i in range(n)]
    pixels = pixels_for(loaded.model.shape.vision, samples.images(places).to(loaded.model.device))
    written = generate(loaded.model, loaded.tokenizer, pixels, _prompted(how), torch.arange(n))
    texts = [caption.text for caption in written]
    commonest, count = Counter(texts).most_common(1)[0]
    degenerate = sum(is_degenerate(text, how.prompt) for text in texts) / n
    collapsed = n > 1 and max(count / n, degenerate) > COLLAPSED_SHARE
    if collapsed:
        log.warning(
            "the captioner has collapsed: of %d pictures %d are called %r and %.0f %% of captions "
            "are loops or empty; lower learning_rate or steps, or give it more human captions",
            n,
            count,
            commonest,
            100 * degenerate,
        )
    return {
        "pictures": n,
        "distinct": len(set(texts)),
        "commonest": commonest,
        "commonest_share": count / n,
        "degenerate_share": degenerate,
        "collapsed": collapsed,
    }


def _prompted(how: Finetuning) -> Decoding:
    values = {**asdict(how.decoding), "prompt": how.prompt}
    return Decoding(**values)
