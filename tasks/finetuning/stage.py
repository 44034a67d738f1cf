"""Finetuning: a writer, a judge, and a model that answers, each on texts that people wrote.

Writer and judge start from the same pretrained model and are trained apart: sharing them lets the
judge forgive what the writer gets wrong (Li et al. 2022, table 4).
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from models.answering import Answerer, answerer_from
from models.batches import Batch
from models.blip import Blip
from models.momentum import Momentum
from models.objective import Step, advance, captioner_loss, filter_losses
from models.questions import QuestionBatch, answering_loss, parted, question_batch
from models.rbm.pmi import joint_machine
from models.rbm_tokens import hidden_field
from models.resolution import Model, at_resolution
from models.schedules import ramped
from tasks.checkpoints import Checkpoint, Loaded, LoadedModel, load_any, load_model
from tasks.errors import InputError, ModelError
from tasks.finetuning.collapse import answer_collapse, caption_collapse, hold_out
from tasks.finetuning.settings import Finetuning
from tasks.fitted import rbm_of
from tasks.jobs import Job, job_of
from tasks.learner import Learner
from tasks.samples import Sample, Samples
from tasks.storage import Lake
from tasks.training import StepMetrics, train


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
    loaded = load_model(lake, found.uri if found else start, job.device)
    loaded = replace(loaded, model=_fitted(loaded.model, how, start))
    _check_room(loaded, how)
    samples, held_out = _samples(job, found, loaded, selections, how)
    model, objective = loaded.model, how.objective_used
    if how.rbm and found is None:
        _hear(lake, loaded, how)

    def losses(batch: Batch, _: int, generator: torch.Generator) -> dict[str, Tensor]:
        return captioner_loss(model, batch, generator, objective, job.team.ranks)

    def look(trained: Blip) -> dict[str, Any]:
        decoding = replace(how.decoding, prompt=how.prompt)
        return caption_collapse(replace(loaded, model=trained), samples, held_out, decoding)

    learner = Learner(model, loaded.tokenizer, losses, prompt=how.prompt)
    yield from _watched(job, learner, samples, how, found, look)


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
    loaded = load_model(lake, found.uri if found else start, job.device)
    model, objective = _fitted(loaded.model, how, start), how.objective_used
    samples = Samples(lake, selections, how.stored_size(model.shape.vision.image_size))
    _note(job, found, loaded, samples)
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


def finetune_answerer(
    lake: Lake,
    run: str,
    start: str,
    selections: tuple[str, ...],
    how: Finetuning,
    device: str = "cpu",
) -> Iterator[StepMetrics]:
    """Finetune a model to answer questions about pictures; as `finetune_captioner`.

    The texts of the selections are questions with people's answers below (`tasks.pairs`). Both
    stacks of the model begin as the roles of a pretrained one, or go on from a model that answers.
    """
    if how.rbm:
        raise InputError(f"an answerer does not read the RBM {how.rbm}; leave rbm empty")
    job, found = _job(lake, run, (start, "answerer"), selections, how, device)
    if job.is_done(found):
        return
    begun = load_any(lake, found.uri if found else start, job.device)
    begun_model = begun.model if isinstance(begun.model, Answerer) else answerer_from(begun.model)
    model, objective = _fitted(begun_model.to(job.device), how, start), how.objective_used
    loaded = Loaded(model, begun.tokenizer, begun.facts, begun.uri, begun.name)
    samples, held_out = _samples(job, found, loaded, selections, how)
    _check_questions(samples, selections)

    def losses(batch: QuestionBatch, _: int, generator: torch.Generator) -> dict[str, Tensor]:
        return answering_loss(model, batch, generator, objective, job.team.ranks)

    def look(trained: Answerer) -> dict[str, Any]:
        return answer_collapse(replace(loaded, model=trained), samples, held_out)

    learner = Learner(model, loaded.tokenizer, losses, prompt=how.prompt, encode=question_batch)
    yield from _watched(job, learner, samples, how, found, look)


def _check_questions(samples: Samples, selections: tuple[str, ...]) -> None:
    """Refuse captions where questions are wanted.

    Raises:
        InputError: a text has no answer.
    """
    try:
        for text in samples.texts:
            parted(text)
    except ValueError as error:
        raise InputError(f"{', '.join(selections)} cannot teach answers: {error}") from error


def _job(  # all kinds'' arguments
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


def _fitted(model: Model, how: Finetuning, start: str) -> Model:
    """Return the model at the resolution it is finetuned at.

    Raises:
        InputError: its patches do not divide that.
    """
    try:
        return at_resolution(model, how.image_size or model.shape.vision.image_size)
    except ValueError as error:
        raise InputError(f"{start} cannot be finetuned at {how.image_size} px: {error}") from error


def _check_room(loaded: Loaded[Any], how: Finetuning) -> None:
    """Refuse captions to be looked at that the prompt or the model leaves no room for.

    Raises:
        InputError: says how long they are.
    """
    n, longest = len(loaded.tokenizer.encode_prompt(how.prompt)), how.decoding.max_length
    if n >= longest:
        raise InputError(
            f"the prompt takes {n} tokens with [DEC], and decoding.max_length is {longest}: "
            "nothing could be written; shorten one or raise the other"
        )
    room = loaded.model.shape.text.positions
    if longest > room:
        raise InputError(
            f"decoding.max_length is {longest}, but this model has {room} positions for a text: "
            f"give {room} or less"
        )


def _samples(
    job: Job,
    found: Checkpoint | None,
    loaded: Loaded[Any],
    selections: tuple[str, ...],
    how: Finetuning,
) -> tuple[Samples, list[Sample]]:
    """Read the samples; return those to train on and those held out."""
    size = loaded.model.shape.vision.image_size
    samples = Samples(job.lake, selections, how.stored_size(size))
    held_out = hold_out(samples, how.held_out)
    _note(job, found, loaded, samples)
    job.facts["held_out"] = len({sample.image for sample in held_out})
    return samples, held_out


def _note(job: Job, found: Checkpoint | None, loaded: Loaded[Any], samples: Samples) -> None:
    """Write into the job's facts what it started from and what it reads."""
    kept = found.facts if found else {"started_from": loaded.name, "start_facts": loaded.facts}
    for name in ("started_from", "start_facts"):
        job.facts[name] = kept[name]
    job.facts.update(samples=len(samples), pictures=samples.n_pictures)


def _watched(  # what `train` takes, and who looks
    job: Job,
    learner: Learner,
    samples: Samples,
    how: Finetuning,
    found: Checkpoint | None,
    look: Callable[[Any], dict[str, Any]],
) -> Iterator[StepMetrics]:
    """Train, and at every checkpoint put among the metrics what is seen of a collapse."""
    last: dict[str, Any] = {}

    def closing_facts(trained: Any) -> Mapping[str, Any]:
        last.update(look(trained))
        return {"collapse": last}

    learner.closing_facts = closing_facts
    for metrics in train(job, learner, samples, how, found):
        seen = last if metrics.step == how.steps else {}
        # A rank with a part of the weights cannot write alone.
        if not seen and metrics.step % how.checkpoint_every == 0 and job.team.ranks.world == 1:
            seen = look(learner.model)
        numbers = {name: float(v) for name, v in seen.items() if isinstance(v, float | bool)}
        yield replace(metrics, losses={**metrics.losses, **numbers})


def _hear(lake: Lake, start: LoadedModel, how: Finetuning) -> None:
    """Give the decoder the tokens of an RBM that was fitted on vectors of the start."""
    fitted = rbm_of(lake, how.rbm)
    if fitted.is_strange_to(start.name):
        raise ModelError(
            f"the RBM {how.rbm} was fitted on vectors of {', '.join(fitted.embedded_by)} and "
            f"{start.name} makes others; start from that model, or fit an RBM on vectors of this"
        )
    joint = joint_machine(fitted.machine, fitted.whitener, fitted.metrics["log_z"])
    try:
        start.model.hear(hidden_field(joint, fitted.whitener), how.rbm_tokens, how.seed)
    except ValueError as error:
        raise ModelError(f"the RBM {how.rbm}: {error}") from error


Finetune = Callable[[Lake, str, str, tuple[str, ...], Finetuning, str], Iterator[StepMetrics]]

FINETUNE: dict[str, Finetune] = {
    "captioner": finetune_captioner,
    "filter": finetune_filter,
    "vqa": finetune_answerer,
}
