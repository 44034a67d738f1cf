"""Embeddings -> a fitted RBM, with what it is worth over the Gaussians.

Vectors are read from Parquet, whitened jointly, and a Gaussian-Bernoulli machine is trained on
them with PCD. Everything random is seeded, and training resumes bit for bit from its last state.
Rows of one picture are never on both sides of the validation split.

`python -m tasks.rbm LAKE RUN --vectors RUN --batch web` fits without Prefect.
"""

import argparse
import hashlib
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from models.rbm.annealing import bracketed
from models.rbm.gaussian import log_density
from models.rbm.machine import RBM
from models.rbm.monitor import HARDLY
from models.rbm.settings import Training
from models.rbm.training import Learner
from models.rbm.whitening import Whitener, fit_whitener
from tasks.bounds import above_zero, at_least
from tasks.commands import run_command
from tasks.errors import InputError, ModelError
from tasks.fitted import rbm_path
from tasks.progress import track
from tasks.settings import read_plan, settings_from
from tasks.storage import Lake, open_lake
from tasks.vectors import held_out, read_vectors

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RbmFit:
    """How a machine is fitted.

    Attributes:
        hidden: hidden units.
        updates: steps in all.
        batch_size: rows a step.
        k: Gibbs sweeps a step.
        chains: persistent chains.
        learning_rate: the peak; falls linearly to a fiftieth.
        weight_decay: on W.
        learn_variance: train the visible variances too.
        validation_share: of the pictures, kept for the reported likelihoods.
        seed: of everything random.
        save_every: updates between two saved states.
        ais_chains: of the log Z estimate.
        ais_betas: steps of its annealing.
    """

    hidden: int = 64
    updates: int = 3000
    batch_size: int = 256
    k: int = 5
    chains: int = 256
    learning_rate: float = 0.01
    weight_decay: float = 1e-4
    learn_variance: bool = True
    validation_share: float = 0.1
    seed: int = 0
    save_every: int = 500
    ais_chains: int = 128
    ais_betas: int = 1000

    def __post_init__(self) -> None:
        above_zero(self, "hidden", "updates", "batch_size", "k", "chains", "learning_rate")
        at_least(2, self, "save_every", "ais_chains", "ais_betas")
        if not 0 < self.validation_share < 1:
            raise InputError(f"validation_share lies between 0 and 1, not {self.validation_share}")


@dataclass(frozen=True, slots=True)
class RbmMetrics:
    """One look at a machine in training: free energies per row, and their gap, in nats."""

    update: int
    free_energy: float
    free_energy_gap: float
    grad_norm: float


def fit_rbm(
    lake: Lake, run: str, vector_run: str, batches: Sequence[str], how: RbmFit
) -> Iterator[RbmMetrics]:
    """Fit a machine on the vectors of these batches; nothing happens when that is done.

    Yields a look every `save_every` updates, when the state is saved too.

    Raises:
        LakeError: a batch has no vectors.
        InputError: too few rows, too many damaged ones, or nothing in them varies; or the run was
            begun with other settings or vectors.
        ModelError: training diverged; the last good state is kept.
    """
    facts: dict[str, Any] = {
        "settings": asdict(how),
        "vectors": vector_run,
        "batches": list(batches),
    }
    _refuse_other(lake, run, facts)
    if lake.exists(rbm_path(run, "rbm.json")):
        return
    pairs, keys, dropped = read_vectors(lake, vector_run, batches)
    facts["dropped_rows"] = dropped
    # Vectors that were written anew are other vectors: a saved state means nothing to them.
    facts["digest"] = hashlib.sha256(pairs.numpy().tobytes()).hexdigest()
    _refuse_other(lake, run, facts)
    outside = held_out(keys, how.validation_share)
    if min(int(outside.sum()), int((~outside).sum())) < 2:
        raise InputError(
            f"{len(pairs)} pairs are too few to hold some out; fit on more, or raise "
            "validation_share"
        )
    whitener = _whitener(pairs[~outside], vector_run)
    lake.publish_json(rbm_path(run, "begun.json"), facts)
    train, validation = whitener.transform(pairs[~outside]), whitener.transform(pairs[outside])
    learner = _learner(lake, run, train, how)
    yield from _train(lake, run, learner, train, validation, how)
    metrics = _measured(learner, whitener, train, validation, how)
    _publish(lake, run, learner.machine, whitener, {"run": run, "metrics": metrics, **facts})


def _refuse_other(lake: Lake, run: str, facts: dict[str, Any]) -> None:
    """See that a run that was begun is this one, as far as `facts` tells."""
    path = rbm_path(run, "begun.json")
    begun = lake.read_json(path) if lake.exists(path) else facts
    if any(begun.get(name) != fact for name, fact in facts.items()):
        raise InputError(
            f"the RBM {run} was begun with other settings or vectors than these; give this one "
            f"another name, or remove {lake.root}/rbms/{run}"
        )


def _whitener(pairs: Tensor, vector_run: str) -> Whitener:
    try:
        whitener = fit_whitener([pairs], pairs.shape[1] // 2)
    except ValueError as error:
        raise InputError(f"the vectors of {vector_run} cannot be whitened: {error}") from error
    log.info(
        "%d pairs: %d of %d columns vary enough to be kept",
        len(pairs),
        whitener.n_kept,
        pairs.shape[1],
    )
    return whitener


def _learner(lake: Lake, run: str, train: Tensor, how: RbmFit) -> Learner:
    """Return a learner at its start, or where the last saved state left it."""
    generator = torch.Generator().manual_seed(how.seed)
    machine = RBM(train.shape[1], how.hidden)
    machine.initialise(train, generator)
    chains = train[torch.randint(len(train), (how.chains,), generator=generator)]
    settings = Training(
        k=how.k,
        chains=how.chains,
        weight_decay=how.weight_decay,
        learn_variance=how.learn_variance,
    )
    learner = Learner(machine, chains, generator, settings)
    if lake.exists(rbm_path(run, "training.safetensors")):
        learner.restore(load(lake.read_bytes(rbm_path(run, "training.safetensors"))))
        log.info("%s goes on from update %d of %d", run, learner.updates, how.updates)
    return learner


def _train(  # where, what, on what and how
    lake: Lake, run: str, learner: Learner, train: Tensor, validation: Tensor, how: RbmFit
) -> Iterator[RbmMetrics]:
    fixed = train[: len(validation)]
    while learner.updates < how.updates:
        step = learner.updates
        batch = train[_batch(len(train), how, step)]
        share = step / how.updates
        norm = learner.update(batch, how.learning_rate * (1 - 0.98 * share))
        saving = learner.updates % how.save_every == 0 or learner.updates == how.updates
        cause = learner.trouble(norm) if saving or not np.isfinite(norm) else ""
        if cause:
            raise ModelError(
                f"{run} diverged at update {learner.updates} ({cause}); its last good state is "
                "kept: lower learning_rate, or set learn_variance to false, and fit again under "
                "another name"
            )
        if saving:
            lake.publish_bytes(rbm_path(run, "training.safetensors"), save(learner.state()))
            ours = float(learner.machine.free_energy(fixed).mean())
            theirs = float(learner.machine.free_energy(validation).mean())
            yield RbmMetrics(learner.updates, theirs, theirs - ours, norm)


def _batch(count: int, how: RbmFit, step: int) -> Tensor:
    """Return which rows step `step` reads: a shuffle of each epoch, from the seed alone."""
    size = min(how.batch_size, count)
    per_epoch = count // size
    epoch, place = divmod(step, per_epoch)
    order = np.random.Generator(np.random.Philox(key=[how.seed, epoch])).permutation(count)
    return torch.from_numpy(order[place * size : (place + 1) * size])


def _measured(
    learner: Learner, whitener: Whitener, train: Tensor, validation: Tensor, how: RbmFit
) -> dict[str, Any]:
    """Measure a machine on white rows held out; likelihoods are of white rows, in nats."""
    generator = torch.Generator().manual_seed(how.seed + 1)
    machine = learner.machine
    start = learner.chains[torch.arange(how.ais_chains) % len(learner.chains)]
    bracket = bracketed(machine, start, generator, betas=how.ais_betas)
    log_z = bracket.forward.value
    ours = machine.log_likelihood(validation, log_z)
    full = log_density(validation, torch.eye(validation.shape[1], dtype=torch.float64))
    # White columns are independent by making: the diagonal Gaussian is one of the cut columns.
    cut = torch.linalg.solve(whitener.mix, validation.T).T
    diagonal = log_density(cut, torch.diag(whitener.covariance.diagonal())) - whitener.log_det
    gain = ours - full
    active = machine.transform(validation).mean(0)
    return {
        "log_likelihood": float(ours.mean()),
        "full_gaussian": float(full.mean()),
        "diagonal_gaussian": float(diagonal.mean()),
        "nats_over_full_gaussian": float(gain.mean()),
        "nats_over_full_gaussian_se": float(gain.std() / len(gain) ** 0.5),
        "nats_over_diagonal_gaussian": float((ours - diagonal).mean()),
        "log_z": log_z,
        "log_z_se": bracket.forward.se,
        "ais_ess": bracket.forward.ess,
        "log_z_reverse": bracket.reverse.value,
        "bracket_gap": bracket.gap,
        "thermalised": bracket.thermalised,
        "free_energy_gap": float(
            machine.free_energy(validation).mean() - machine.free_energy(train).mean()
        ),
        "hidden_off": float((active < HARDLY).double().mean()),
        "hidden_on": float((active > 1 - HARDLY).double().mean()),
        "variance_min": float(machine.log_var.exp().min()),
        "variance_max": float(machine.log_var.exp().max()),
        "kept_columns": whitener.n_kept,
        "image_columns": whitener.split,
        "training_rows": len(train),
        "validation_rows": len(validation),
    }


def _publish(
    lake: Lake, run: str, machine: RBM, whitener: Whitener, record: dict[str, Any]
) -> None:
    """Write the machine, and last the record that makes it whole."""
    tensors = {f"machine.{name}": value for name, value in machine.state_dict().items()}
    tensors |= {f"whitener.{name}": value for name, value in whitener.state().items()}
    whole = {name: value.clone().contiguous() for name, value in tensors.items()}
    lake.publish_bytes(rbm_path(run, "rbm.safetensors"), save(whole))
    lake.publish_json(rbm_path(run, "rbm.json"), record)
    metrics = record["metrics"]
    log.info(
        "%s: %+.2f nats over the full Gaussian on %d pairs held out",
        run,
        metrics["nats_over_full_gaussian"],
        metrics["validation_rows"],
    )


def main(arguments: Sequence[str]) -> None:
    """Read the command line and fit."""
    parser = argparse.ArgumentParser(prog="python -m tasks.rbm", description=__doc__)
    parser.add_argument("lake", help="the lake's root: a folder or an fsspec URL")
    parser.add_argument("run", help="the machine's name")
    parser.add_argument("--vectors", required=True, help="the run of the vectors it is fitted on")
    parser.add_argument("--batch", action="append", required=True, help="whose; may be repeated")
    parser.add_argument("--settings", type=Path, help="a JSON file; its keys are those of RbmFit")
    given = parser.parse_args(arguments)
    how = settings_from(RbmFit, read_plan(given.settings)) if given.settings else RbmFit()
    looks = fit_rbm(open_lake(given.lake), given.run, given.vectors, given.batch, how)
    for look in track(looks, given.run, -(-how.updates // how.save_every)):
        log.info(
            "update %d: free energy %.2f nats held out, gap %+.2f",
            look.update,
            look.free_energy,
            look.free_energy_gap,
        )


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
