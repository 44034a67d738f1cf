"""How long, how fast and how precisely to learn: what every training run has settings for."""

from dataclasses import dataclass

from models.batches import MAX_LENGTH
from models.preprocessing import Augmentation
from models.schedules import SHAPES, decayed, learning_rate
from tasks.bounds import above_zero, at_least, one_of
from tasks.errors import InputError
from tasks.samples import WORKERS
from tasks.team import STYLES

SEEDS = 2**63
SHORTEST = 3  # tokens of a text: the first, one of its own, [SEP]
PRECISIONS = ("auto", "fp32", "bf16")
# Settings that change how a result is computed and not which: a run may go on under others.
COMPUTING = ("parallel", "recomputed_blocks", "workers")


@dataclass(frozen=True, kw_only=True, slots=True)
class Regimen:
    """How long and how fast to learn; shared by pretraining and finetuning.

    Attributes:
        steps: optimiser steps in all.
        batch_size: pairs a step.
        learning_rate: the peak.
        warmup_steps: of a linear rise from 0.
        schedule: "linear", "cosine" or "constant", after the rise; "epoch" keeps `epoch_decay` of
            the rate at every epoch.
        epoch_decay: BLIP's pretraining kept 0.9.
        lowest_rate: where the schedule ends.
        weight_decay: on matrices; norms, biases and the temperature have none.
        decay_all: they have it too, as in BLIP's own training.
        clip_norm: the largest gradient norm that is not scaled down; 0 scales none, as in BLIP's.
        seed: of weights, order, negatives and dropout.
        max_length: most tokens of a caption.
        augmentation: how pictures are varied, or None to show them as they are.
        checkpoint_every: steps between two checkpoints.
        accumulate: parts in which a step's pairs are read, for want of memory. Contrast and
            negatives are then those of a part.
        recomputed_blocks: how many of the last vision blocks are computed again in the backward
            pass instead of being kept.
        precision: "fp32", "bf16" (autocast; weights, losses and optimiser stay fp32), or "auto":
            bf16 on a GPU.
        parallel: how the ranks that torchrun starts divide the work: "ddp" or "fsdp".
        workers: threads a rank reads and decodes pictures in, ahead of the step; 0 does it between
            steps.
    """

    steps: int = 550
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 30
    schedule: str = "linear"
    epoch_decay: float = 0.9
    lowest_rate: float = 0.0
    weight_decay: float = 0.05
    decay_all: bool = False
    clip_norm: float = 1.0
    seed: int = 0
    max_length: int = MAX_LENGTH
    augmentation: Augmentation | None = None
    checkpoint_every: int = 200
    accumulate: int = 1
    recomputed_blocks: int = 0
    precision: str = "auto"
    parallel: str = "ddp"
    workers: int = WORKERS

    def __post_init__(self) -> None:
        above_zero(self, "steps", "batch_size", "checkpoint_every", "learning_rate")
        above_zero(self, "accumulate", "epoch_decay")
        at_least(0, self, "warmup_steps", "weight_decay", "seed")
        at_least(0, self, "lowest_rate", "recomputed_blocks", "workers", "clip_norm")
        at_least(SHORTEST, self, "max_length")
        if self.seed >= SEEDS:
            raise InputError(f"seed is below 2 ** 63, not {self.seed}")
        one_of(self, schedule=(*SHAPES, "epoch"), precision=PRECISIONS, parallel=STYLES)

    def stored_size(self, image_size: int) -> int:
        """Return the side at which pictures are kept: BLIP crops its 224 pixels out of 256."""
        return image_size if self.augmentation is None else round(image_size * 8 / 7)

    def rate(self, step: int, epoch: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        peak, shape, floor = self.learning_rate, self.schedule, self.lowest_rate
        if shape == "epoch":
            peak, shape = decayed(epoch, peak=peak, decay=self.epoch_decay, floor=floor), "constant"
        return learning_rate(
            step, total=self.steps, peak=peak, warmup=self.warmup_steps, floor=floor, shape=shape
        )
