"""The loop under pretraining and finetuning: one optimiser, one order of samples, exact resume.

Everything random at step `s` is seeded by (seed, s) and the samples of step `s` are a function of
it too, so the only state a resumed run needs is the weights, the optimiser and the momentum side:
a run that was killed goes on with the very losses it would have had.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.batches import MAX_LENGTH, Batch, batch_of
from models.blip import Blip
from models.momentum import Momentum
from models.preprocessing import Augmentation, augment, pixels_for
from models.schedules import SHAPES, decay_groups, learning_rate
from models.tokenization import Tokenizer
from tasks.bounds import above_zero, at_least
from tasks.checkpoints import Checkpoint, newest, save_checkpoint, training_state
from tasks.errors import InputError, ModelError
from tasks.jobs import Job
from tasks.samples import SampleBatch, Samples

log = logging.getLogger(__name__)

Losses = Callable[[Batch, int, torch.Generator], dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """One step as a person or MLflow wants it; `step` counts the steps taken, from 1."""

    step: int
    total: float
    losses: dict[str, float]
    lr: float
    samples_per_s: float
    grad_norm: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Regimen:
    """How long and how fast to learn; shared by pretraining and finetuning.

    Attributes:
        steps: optimiser steps in all.
        batch_size: pairs a step.
        learning_rate: the peak.
        warmup_steps: of a linear rise from 0.
        schedule: "linear", "cosine" or "constant", after the rise.
        weight_decay: on matrices; norms, biases and the temperature have none.
        clip_norm: the largest gradient norm that is not scaled down.
        seed: of weights, order, negatives and dropout.
        max_length: most tokens of a caption.
        augmentation: how pictures are varied, or None to show them as they are.
        checkpoint_every: steps between two checkpoints.
    """

    steps: int = 550
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 30
    schedule: str = "linear"
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    seed: int = 0
    max_length: int = MAX_LENGTH
    augmentation: Augmentation | None = None
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        above_zero(self, "steps", "batch_size", "checkpoint_every", "learning_rate", "clip_norm")
        at_least(0, self, "warmup_steps", "weight_decay", "seed")
        if self.schedule not in SHAPES:
            raise InputError(f"schedule is one of {', '.join(SHAPES)}, not {self.schedule!r}")

    def stored_size(self, image_size: int) -> int:
        """Return the side at which pictures are kept: BLIP crops its 224 pixels out of 256."""
        return image_size if self.augmentation is None else round(image_size * 8 / 7)


@dataclass(slots=True)
class Learner:
    """What is trained, and the function from a batch to its losses."""

    model: Blip
    tokenizer: Tokenizer
    losses: Losses
    momentum: Momentum | None = None
    prompt: str = ""
    closing_facts: Callable[[], Mapping[str, Any]] = field(default=dict)


def train(
    job: Job, learner: Learner, samples: Samples, how: Regimen, found: Checkpoint | None
) -> Iterator[StepMetrics]:
    """Take the steps that are left, yielding one StepMetrics each, and publish the result.

    Args:
        job: the run.
        learner: at its start; its momentum side is overwritten when `found` is given.
        samples: what is read.
        how: the regimen.
        found: the checkpoint whose weights `learner.model` has, or None at the start.

    Raises:
        ModelError: a loss or gradient is no longer finite; the last checkpoint stays.
    """
    optimiser = torch.optim.AdamW(
        decay_groups(learner.model, how.weight_decay),
        lr=how.learning_rate,
        fused=job.device.startswith("cuda"),
    )
    first = 0
    if found is not None:
        _restore(learner, optimiser, training_state(job.lake, found))
        first = found.step
        log.info("%s goes on from step %d of %d", job.run, first, how.steps)
    learner.model.train()
    with contextlib.closing(
        samples.batches(how.batch_size, seed=how.seed, start_step=first)
    ) as batches:
        for done in range(first + 1, how.steps + 1):
            started = time.perf_counter()
            metrics = _step(job, learner, optimiser, next(batches), how)
            if done % how.checkpoint_every == 0 or done == how.steps:
                _publish(job, learner, optimiser, done, done == how.steps)
            yield _timed(metrics, how.batch_size, time.perf_counter() - started)


def _step(
    job: Job, learner: Learner, optimiser: torch.optim.Optimizer, read: SampleBatch, how: Regimen
) -> StepMetrics:
    """Take one optimiser step on what was read; `samples_per_s` is filled in by the caller."""
    rate = learning_rate(
        read.step,
        total=how.steps,
        peak=how.learning_rate,
        warmup=how.warmup_steps,
        shape=how.schedule,
    )
    for group in optimiser.param_groups:
        group["lr"] = rate
    generator = torch.Generator().manual_seed(step_seed(how.seed, read.step))
    batch = model_batch(learner, read, job.device, generator, how)
    on_gpu = job.device.startswith("cuda")
    with torch.autocast(job.device.split(":")[0], torch.bfloat16, enabled=on_gpu):
        losses = learner.losses(batch, read.step, generator)
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(losses["loss"])
    norm = nn.utils.clip_grad_norm_(learner.model.parameters(), how.clip_norm)
    # One wait for the device, not one a number.
    numbers = torch.stack([*(value.detach().float() for value in losses.values()), norm]).tolist()
    values = dict(zip(losses, numbers, strict=False))
    total, length = values.pop("loss"), numbers[-1]
    # Before the step: the weights in memory and in the last checkpoint are still good ones.
    if not np.isfinite(total) or not np.isfinite(length):
        raise _diverged(job, read.step, total, length, how)
    optimiser.step()
    return StepMetrics(read.step + 1, total, values, rate, 0.0, length)


def model_batch(
    learner: Learner, read: SampleBatch, device: str, generator: torch.Generator, how: Regimen
) -> Batch:
    """Move a read batch to the device as uint8, vary it, and only there make floats of it."""
    vision = learner.model.shape.vision
    images = read.images.to(device, non_blocking=True)
    if how.augmentation is not None:
        images = augment(images, vision.image_size, generator, how.augmentation)
    return batch_of(
        learner.tokenizer,
        pixels_for(vision, images),
        read.texts,
        read.keys,
        max_length=how.max_length,
        prompt=learner.prompt,
    ).to(device)


def step_seed(seed: int, step: int) -> int:
    """Return the seed of everything random in one step, 0 <= seed < 2**63."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


def _timed(metrics: StepMetrics, batch_size: int, seconds: float) -> StepMetrics:
    return StepMetrics(
        metrics.step,
        metrics.total,
        metrics.losses,
        metrics.lr,
        batch_size / max(seconds, 1e-9),
        metrics.grad_norm,
    )


def _publish(
    job: Job, learner: Learner, optimiser: torch.optim.Optimizer, step: int, final: bool
) -> None:
    state = None if final else _state(learner, optimiser)
    facts = {**job.facts, **(learner.closing_facts() if final else {})}
    learner.model.train()
    saved = save_checkpoint(job.lake, job.run, step, learner.model, learner.tokenizer, facts, state)
    log.info("%s: step %d is safe in %s", job.run, step, saved.uri)


def _state(learner: Learner, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what a resumed run needs beside the weights, one tensor a name."""
    named = {
        f"optimiser.{index}.{slot}": torch.as_tensor(value)
        for index, slots in optimiser.state_dict()["state"].items()
        for slot, value in slots.items()
    }
    momentum = learner.momentum.state_dict() if learner.momentum else {}
    return {**named, **{f"momentum.{name}": value for name, value in momentum.items()}}


def _restore(
    learner: Learner, optimiser: torch.optim.Optimizer, state: Mapping[str, Tensor]
) -> None:
    """Put `_state` back."""
    slots: dict[int, dict[str, Tensor]] = {}
    momentum: dict[str, Tensor] = {}
    for name, value in state.items():
        kind, rest = name.split(".", 1)
        if kind == "momentum":
            momentum[rest] = value
        else:
            index, slot = rest.split(".", 1)
            slots.setdefault(int(index), {})[slot] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": slots, "param_groups": groups})
    if learner.momentum is not None:
        learner.momentum.load_state_dict(momentum)


def _diverged(job: Job, step: int, total: float, norm: float, how: Regimen) -> ModelError:
    found = newest(job.lake, job.run)
    left = f"the last good checkpoint is {found.uri}" if found else "no checkpoint was reached"
    return ModelError(
        f"run {job.run} diverged at step {step + 1}: loss {total}, gradient norm {norm}; {left}. "
        f"Start another run with a lower learning_rate than {how.learning_rate} or more than "
        f"{how.warmup_steps} warmup_steps"
    )
