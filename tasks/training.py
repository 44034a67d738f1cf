"""The loop under pretraining and finetuning: one optimiser, one order of samples, exact resume.

Everything random at step `s` is seeded by (seed, s) and the samples of step `s` are a function of
it too, so the only state a resumed run needs is the weights, the optimiser and the momentum side:
a run that was killed goes on with the very losses it would have had.
"""

import contextlib
import itertools
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.preprocessing import augment, pixels_for
from models.schedules import decay_groups
from tasks.checkpoints import Checkpoint, newest, save_checkpoint, training_state
from tasks.errors import LakeError, ModelError
from tasks.jobs import Job
from tasks.learner import Learner, fit
from tasks.machine_use import Meter
from tasks.regimen import Regimen
from tasks.samples import SampleBatch, Samples
from tasks.team import divided_like, gathered

log = logging.getLogger(__name__)


KEYS_NAMED = 3


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """One step as a person or MLflow wants it; `step` counts the steps taken, from 1.

    `use` is what the process took of its machine (`tasks.machine_use`).
    """

    step: int
    total: float
    losses: dict[str, float]
    lr: float
    samples_per_s: float
    grad_norm: float
    use: dict[str, float] = field(default_factory=dict)


def train(
    job: Job, learner: Learner, samples: Samples, how: Regimen, found: Checkpoint | None
) -> Iterator[StepMetrics]:
    """Take the steps that are left, yielding one StepMetrics each, and publish the result.

    Every rank calls it and sees the same metrics; the first rank alone writes.

    Args:
        job: the run.
        learner: at its start; its momentum side is overwritten when `found` is given.
        samples: what is read.
        how: the regimen.
        found: the checkpoint whose weights `learner.model` has, or None at the start.

    Raises:
        InputError: a batch cannot be divided equally over the ranks, there are more of those than
            pairs, texts may be longer than the model's positions, or more blocks are to be
            recomputed than there are.
        LakeError: a picture cannot be read.
        ModelError: a loss or gradient is no longer finite; the last checkpoint stays.
    """
    micro_batch = job.team.micro_batch(how.batch_size, how.accumulate)
    samples.divide(micro_batch, job.team.ranks.world)
    fit(learner, how)
    trainee = Trainee(job, learner, how, found)
    first = found.step if found else 0
    if found is not None:
        log.info("%s goes on from step %d of %d", job.run, first, how.steps)
    learner.model.train()
    reader = samples.batches(
        micro_batch,
        seed=how.seed,
        start_step=first * how.accumulate,
        workers=how.workers,
        ranks=job.team.ranks,
    )
    meter = Meter(Path(job.lake.path()) if job.lake.is_local else Path.cwd())
    with contextlib.closing(reader) as batches:
        for done in range(first + 1, how.steps + 1):
            started = time.perf_counter()
            parts = trainee.read(batches, done - 1)
            metrics = trainee.step(
                done - 1, parts, epoch=(done - 1) * how.batch_size // len(samples)
            )
            if done % how.checkpoint_every == 0 or done == how.steps:
                trainee.publish(done, final=done == how.steps)
            seconds = max(time.perf_counter() - started, 1e-9)
            yield replace(metrics, samples_per_s=how.batch_size / seconds, use=meter.read())


class Trainee:
    """A learner with its optimiser, divided over the ranks of a job."""

    def __init__(self, job: Job, learner: Learner, how: Regimen, found: Checkpoint | None) -> None:
        """Put back what a checkpoint says; its weights are in the model already."""
        self._job, self._learner, self._how = job, learner, how
        self._safe = found.step if found else 0
        optimiser_state = {}
        if found is not None:
            state = training_state(job.lake, found)
            optimiser_state = _below(state, "optimiser")
            if learner.momentum is not None:
                learner.momentum.load_state_dict(_below(state, "momentum"))
        # In this order: what is divided cannot be loaded whole any more.
        parts = (learner.model, learner.losses)
        if how.parallel == "fsdp":
            self._losses = job.team.divided(*parts, learner.momentum)
        else:
            self._losses = job.team.copied(*parts, trains_all=learner.trains_all)
        self._optimiser = torch.optim.AdamW(
            decay_groups(learner.model, how.weight_decay, everything=how.decay_all),
            lr=how.learning_rate,
            fused=job.device.split(":")[0] in ("cpu", "cuda"),
        )
        if optimiser_state:
            _restore(self._optimiser, optimiser_state)

    def read(self, batches: Iterator[SampleBatch], done: int) -> list[SampleBatch]:
        """Return what the next step reads; before it fails, what was learned is made safe.

        Raises:
            LakeError: a picture cannot be read; run again once its shard is mended.
        """
        try:
            return list(itertools.islice(batches, self._how.accumulate))
        except LakeError:
            # With others a rank cannot: they wait for it in the middle of the step.
            if done > self._safe and self._job.team.ranks.world == 1:
                self.publish(done, final=False)
            raise

    def step(self, number: int, parts: Sequence[SampleBatch], epoch: int) -> StepMetrics:
        """Take one optimiser step on what was read; `samples_per_s` is filled in by the caller."""
        job, learner, how = self._job, self._learner, self._how
        rate = how.rate(number, epoch)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        learner.before()
        self._optimiser.zero_grad(set_to_none=True)
        found = [self._backward(number, read) for read in parts]
        norm = job.team.clipped(learner.model, how.clip_norm or math.inf)
        means = {name: torch.stack([part[name] for part in found]).mean() for name in found[0]}
        # One wait for the device, not one a number.
        numbers = job.team.ranks.mean(torch.stack([*means.values(), norm.float()])).tolist()
        values = dict(zip(means, numbers, strict=False))
        total, length = values.pop("loss"), numbers[-1]
        # Before the step: the weights in memory and in the last checkpoint are still good ones.
        if not np.isfinite(total) or not np.isfinite(length):
            raise _diverged(job, parts, total, length, how)
        self._optimiser.step()
        return StepMetrics(number + 1, total, values, rate, 0.0, length)

    def publish(self, step: int, *, final: bool) -> None:
        """Write a checkpoint; every rank gives its part."""
        job, learner = self._job, self._learner
        state = None if final else gathered(self._state())
        model = job.team.whole(learner.model)
        if job.team.leads:
            facts = {**job.facts, **(learner.closing_facts(model) if final else {})}
            saved = save_checkpoint(job.lake, job.run, step, model, learner.tokenizer, facts, state)
            log.info("%s: step %d is safe in %s", job.run, step, saved.uri)
        self._safe = step
        learner.model.train()
        job.team.wait()

    def _backward(self, number: int, read: SampleBatch) -> dict[str, Tensor]:
        """Add the gradients of some pairs; return their losses, float () each."""
        job, how = self._job, self._how
        generator = torch.Generator().manual_seed(step_seed(how.seed, read.step))
        batch = model_batch(self._learner, read, job, generator, how)
        kind = job.device.split(":")[0]
        is_bf16 = how.precision == "bf16" or (how.precision == "auto" and kind == "cuda")
        with torch.autocast(kind, torch.bfloat16, enabled=is_bf16):
            losses = self._losses(batch, number, generator)
        torch.autograd.backward(losses["loss"] / how.accumulate)
        return {name: value.detach().float() for name, value in losses.items()}

    def _state(self) -> dict[str, Tensor]:
        """Return what a resumed run needs beside the weights, one tensor a name."""
        named = {
            f"optimiser.{index}.{slot}": torch.as_tensor(value)
            for index, slots in self._optimiser.state_dict()["state"].items()
            for slot, value in slots.items()
        }
        momentum = self._learner.momentum
        slow = momentum.state_dict() if momentum is not None else {}
        return {**named, **{f"momentum.{name}": value for name, value in slow.items()}}


def model_batch(
    learner: Learner, read: SampleBatch, job: Job, generator: torch.Generator, how: Regimen
) -> Any:
    """Move a read batch to the device as uint8, vary it, and only there make floats of it."""
    vision = learner.model.shape.vision
    images = read.images.to(job.device, non_blocking=True)
    if how.augmentation is not None:
        images = augment(
            images,
            vision.image_size,
            generator,
            how.augmentation,
            ranks=job.team.ranks,
            aspects=read.aspects,
        )
    return learner.encode(
        learner.tokenizer,
        pixels_for(vision, images),
        read.texts,
        read.keys,
        max_length=how.max_length,
        prompt=learner.prompt,
    ).to(job.device)


def step_seed(seed: int, step: int) -> int:
    """Return the seed of everything random in one step, 0 <= seed < 2**63."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


def _below(state: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Return the part of a training state that begins with `kind`, without that."""
    return {
        name.removeprefix(f"{kind}."): value
        for name, value in state.items()
        if name.startswith(f"{kind}.")
    }


def _restore(optimiser: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Put the slots of `Trainee._state` back, divided as their parameters are."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    # By name: a file gives its tensors in an order of its own to every process, and ranks divide
    # and gather these in step, here and at every checkpoint to come.
    for name, value in sorted(state.items()):
        number, slot = name.split(".", 1)
        part = divided_like(value, parameters[int(number)])
        slots.setdefault(int(number), {})[slot] = part
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": slots, "param_groups": groups})


def _diverged(
    job: Job, parts: Sequence[SampleBatch], total: float, norm: float, how: Regimen
) -> ModelError:
    found = newest(job.lake, job.run)
    left = f"the last good checkpoint is {found.uri}" if found else "no checkpoint was reached"
    keys = [f"{key:015x}" for part in parts for key in part.keys.tolist()]
    more = ", …" if len(keys) > KEYS_NAMED else ""
    return ModelError(
        f"run {job.run} diverged at step {parts[0].step // how.accumulate + 1}: loss {total}, "
        f"gradient norm {norm}, on a batch of pictures whose keys begin with "
        f"{', '.join(keys[:KEYS_NAMED])}{more}; {left}. Start another run with a lower "
        f"learning_rate than {how.learning_rate} or more than {how.warmup_steps} warmup_steps"
    )
