"""Embeddings -> a fitted RBM, with what it is worth over the Gaussians.

Vectors stream from Parquet through a joint whitening into a Gaussian-Bernoulli machine. Everything
random is seeded, and a fit that was stopped goes on bit for bit from its last state. It ends when
the likelihood of held-out rows has stopped rising, and its result is the best machine on the way;
that is judged on other rows, which took no part in any of it.

    fits/<run>/begun.json              what the fit is of
               prepared.safetensors    the whitener, the split, rows to look at
               training.safetensors    the state that a stopped fit goes on from
               plots/*.svg             filters, activations, free-energy gap, mixing, forgetting
    metrics/<run>.parquet              the numbers of every look
    rbms/<run>/rbm.safetensors         the machine and its whitener
               rbm.json                what was measured; published LAST
"""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import torch

from models.rbm.annealing import bracketed
from models.rbm.machine import RBM
from models.rbm.monitor import progress
from models.rbm.training import Learner, Step
from tasks.curves import read_curve, write_curve
from tasks.errors import InputError, ModelError
from tasks.fitted import fit_path, publish_rbm, rbm_path
from tasks.jobs import check_device, check_name
from tasks.rbm import plots
from tasks.rbm.course import Course, save_course, saved_course
from tasks.rbm.likelihood import judged
from tasks.rbm.looks import Looker, RbmLook, starts
from tasks.rbm.preparing import Prepared, prepare, prepared_from
from tasks.rbm.settings import RbmFit
from tasks.rbm.streaming import Batches
from tasks.storage import Lake
from tasks.tensors import packed, unpacked
from tasks.vectors import VectorFiles, embedded_by, open_vectors

log = logging.getLogger(__name__)

PREPARED = "prepared.safetensors"
BEGUN = "begun.json"


def fit_rbm(
    lake: Lake,
    run: str,
    vector_run: str,
    batches: Sequence[str],
    how: RbmFit,
    device: str = "cpu",
) -> Iterator[RbmLook]:
    """Fit a machine on the vectors of these batches; nothing happens when that is done.

    Args:
        lake: where everything lies.
        run: the machine's name; the result is `rbms/<run>`.
        vector_run: the run of the vectors.
        batches: whose vectors.
        how: size, learning and looks.
        device: "cpu" or "cuda".

    Yields:
        The numbers of every look.

    Raises:
        LakeError: a batch has no vectors.
        InputError: too few rows, too many damaged ones, or nothing in them varies; or the run was
            begun with other settings or vectors, or no folder can have a name.
        ModelError: the device is not there, or training diverged; the last good state is kept.
    """
    for name in (run, vector_run):
        check_name("run", name)
    for name in batches:
        check_name("batch", name)
    facts: dict[str, Any] = {
        "settings": asdict(how),
        "vectors": vector_run,
        "batches": list(batches),
    }
    _refuse_other(lake, run, facts)
    if lake.exists(rbm_path(run, "rbm.json")):
        log.info("%s is done: %s", run, rbm_path(run, "rbm.json"))
        return
    check_device(device)
    files = open_vectors(lake, vector_run, batches)
    # Vectors that were written anew are other vectors: a saved state means nothing to them.
    facts["digest"] = files.digest
    _refuse_other(lake, run, facts)
    prepared = _saved_rows(lake, run)
    known = prepared is not None
    if prepared is None:
        prepared = prepare(files, how.validation_share, how.measured_rows)
    course = _begun(lake, run, prepared, how, device)
    if not known:  # else both are there; what the rows are of comes first
        lake.publish_json(fit_path(run, BEGUN), facts)
        lake.publish_bytes(fit_path(run, PREPARED), packed(prepared.state()))
    looker = Looker(prepared, how, course.learner)
    yield from _train(lake, run, course, looker, _batches(files, prepared, how, course))
    facts["embedded_by"] = list(embedded_by(lake, vector_run, batches))
    _finish(lake, run, course, looker, prepared, facts)


def _saved_rows(lake: Lake, run: str) -> Prepared | None:
    """Return the split and the whitener of a fit that was begun; None where none are kept."""
    path = fit_path(run, PREPARED)
    # Rows of which no record says what they are of may be those of other vectors.
    if not (lake.exists(fit_path(run, BEGUN)) and lake.exists(path)):
        return None
    return prepared_from(unpacked(lake.read_bytes(path), path))


def _refuse_other(lake: Lake, run: str, facts: dict[str, Any]) -> None:
    """See that a run that was begun is this one, as far as `facts` tells."""
    path = fit_path(run, BEGUN)
    begun = lake.read_json(path) if lake.exists(path) else facts
    if any(begun.get(name) != fact for name, fact in facts.items()):
        raise InputError(
            f"the RBM {run} was begun with other settings or vectors than these; give this one "
            f"another name, or remove {lake.root}/fits/{run} and {lake.root}/rbms/{run}"
        )


def _begun(lake: Lake, run: str, prepared: Prepared, how: RbmFit, device: str) -> Course:
    """Return a course at its start, or where the last saved state left it."""
    found = saved_course(lake, run, device)
    if found is not None:
        log.info(
            "%s goes on from update %d of %d", run, found.learner.updates, how.training.updates
        )
        return found
    white = prepared.whitener.transform(prepared.train).to(how.dtype)
    machine = RBM(white.shape[1], how.hidden, dtype=how.dtype).to(device)
    try:
        return Course(Learner.begin(machine, white.to(device), how.training, how.seed))
    except ValueError as error:
        raise InputError(f"no RBM can begin to learn from the rows of {run}: {error}") from error


def _batches(files: VectorFiles, prepared: Prepared, how: RbmFit, course: Course) -> Batches:
    return Batches(
        files,
        prepared,
        batch_size=how.batch_size,
        window=how.window,
        seed=how.seed,
        like=course.learner.chains,
    )


def _train(
    lake: Lake, run: str, course: Course, looker: Looker, batches: Batches
) -> Iterator[RbmLook]:
    how, learner = looker.how, course.learner
    last = how.training.updates
    points: list[tuple[int, str, float]] = []
    looker.rested()
    while learner.updates < last and course.waited < how.patience:
        step = learner.partial_fit(batches.at(learner.updates))
        looker.count(step)
        saving = learner.updates % how.save_every == 0 or learner.updates == last
        looking = saving or learner.updates % how.look_every == 0
        cause = _trouble(learner, step, looking)
        if cause:
            write_curve(lake, run, points)
            raise _diverged(lake, run, learner, cause)
        if not looking:
            continue
        numbers = looker.cheap(learner, step)
        if saving:
            numbers |= looker.worth(learner)
            course.judge(numbers["log_likelihood"])
        points += [(learner.updates, name, value) for name, value in numbers.items()]
        if saving:
            write_curve(lake, run, points)
            save_course(lake, run, course)
            points = []
        looker.rested()
        yield RbmLook(learner.updates, numbers)
    if course.waited >= how.patience:
        log.info(
            "%s: %d likelihoods without a better one, so the fit ends at update %d; the best was "
            "at %d",
            run,
            course.waited,
            learner.updates,
            course.best_update,
        )


def _trouble(learner: Learner, step: Step, looking: bool) -> str:
    """Say what shows that training went wrong, or nothing; the parameters are seen at looks."""
    if looking or not math.isfinite(step.grad_norm):
        return learner.trouble(step.grad_norm)
    return ""


def _diverged(lake: Lake, run: str, learner: Learner, cause: str) -> ModelError:
    """Say what went wrong, what is left of the run, and what to change."""
    saved = saved_course(lake, run, learner.chains.device.type)
    kept = "before its first state was saved, so none is kept"
    if saved is not None:
        kept = f"its last good state, of update {saved.learner.updates}, is kept in fits/{run}"
    return ModelError(
        f"{run} diverged at update {learner.updates} ({cause}); {kept}: lower learning_rate, or "
        "set learn_variance to false, and fit again under another name"
    )


def _finish(
    lake: Lake,
    run: str,
    course: Course,
    looker: Looker,
    prepared: Prepared,
    facts: dict[str, Any],
) -> None:
    """Measure the best machine on rows that took no part, draw it, and publish it."""
    machine, whitener = course.best_machine(), prepared.whitener
    curve, seed = read_curve(lake, run), looker.how.seed
    drawn = {
        "filters": plots.filters(machine, whitener),
        "free_energy_gap": plots.free_energy_gap(curve),
        "activations": plots.activations(curve),
        "mixing": plots.mixing(machine, looker.train, seed),
        "forgetting": plots.forgetting(machine, course.learner.chains, seed),
    }
    for name, drawing in drawn.items():
        lake.publish_bytes(fit_path(run, f"plots/{name}.svg"), drawing.encode())
    metrics = _measured(course, machine, looker, prepared)
    publish_rbm(lake, run, machine, whitener, {"run": run, "metrics": metrics, **facts})
    log.info(
        "%s: %+.2f ± %.2f nats over the full Gaussian on %d pairs held out",
        run,
        metrics["nats_over_full_gaussian"],
        metrics["nats_over_full_gaussian_se"],
        metrics["measured_rows"],
    )


def _measured(
    course: Course, machine: RBM, looker: Looker, prepared: Prepared
) -> dict[str, float | int | bool]:
    """Measure a machine on the test's rows; likelihoods are of white rows, in nats."""
    how = looker.how
    generator = torch.Generator(course.learner.chains.device).manual_seed(how.seed + 1)
    start = starts(course.learner, how.ais_chains)
    bracket = bracketed(machine, start, generator, betas=how.ais_betas)
    test = prepared.whitener.transform(prepared.test).to(looker.train)
    found: dict[str, float | int | bool] = dict(progress(machine, looker.train, test))
    found |= judged(machine, test, bracket, looker.yardstick.of(test))
    return found | {
        "thermalised": bracket.thermalised,
        "kept_columns": prepared.whitener.n_kept,
        "image_columns": prepared.whitener.split,
        "best_update": course.best_update,
        "last_update": course.learner.updates,
        "measured_rows": len(test),
        **prepared.counts,
    }
