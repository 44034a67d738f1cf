"""Two machines on the same rows: how likely each finds the pairs that neither has learnt from.

Each machine has a whitener of its own, so white densities cannot be compared. Both are carried back
to the embedding's columns: a pair has the density of its cut columns, and in the directions that
the whitener leaves out that of a Gaussian as narrow as the cut, of which no more is known than that
their variance is below it.
"""

import logging

import numpy as np
import torch
from torch import Tensor

from models.rbm.units import LOG_2PI
from models.rbm.whitening import KEPT_ABOVE, Whitener
from tasks.errors import ModelError
from tasks.fitted import FittedRbm, fit_path, load_rbm, rbm_of
from tasks.metrics.bootstrap import Difference, Measure, difference, share_of
from tasks.rbm.preparing import Prepared, prepared_from
from tasks.storage import Lake
from tasks.tensors import unpacked

log = logging.getLogger(__name__)

PREPARED = "prepared.safetensors"
RESAMPLES = 1000


def against(lake: Lake, run: str, champion: str) -> Difference | None:
    """Say how many nats a pair a machine is better than another, on the rows that judged it.

    Those rows are held out by their keys from every machine, so the champion has not learnt from
    them either.

    Args:
        lake: where the machine was fitted.
        run: of the machine.
        champion: address of the other, such as `models:/caplift-rbm@champion`.

    Returns:
        The log-densities, the champion's as `a`, and their difference with its interval over
        pictures; None where the champion reads vectors of another model or width, or cannot be
        read.

    Raises:
        ModelError: the machine is missing or damaged.
    """
    mine, path = load_rbm(lake, run), fit_path(run, PREPARED)
    prepared = prepared_from(unpacked(lake.read_bytes(path), path))
    try:
        theirs = rbm_of(lake, champion)
    except ModelError as error:
        log.warning("%s is no match for %s: %s", champion, run, error)
        return None
    if len(theirs.whitener.mean) != len(mine.whitener.mean):
        log.warning(
            "%s reads %d columns and %s %d, so they have no rows in common to be compared on",
            champion,
            len(theirs.whitener.mean),
            run,
            len(mine.whitener.mean),
        )
        return None
    if mine.embedded_by and all(theirs.is_strange_to(name) for name in mine.embedded_by):
        log.warning(
            "%s was fitted on vectors of %s and %s on those of %s, which mean other things",
            champion,
            ", ".join(theirs.embedded_by),
            run,
            ", ".join(mine.embedded_by),
        )
        return None
    a, b = (_measure(prepared, log_density(one, prepared.test)) for one in (theirs, mine))
    found = difference(a, b, RESAMPLES, 0)
    log.info("%s is %s nats a pair better than %s", run, found.difference, champion)
    return found


def log_density(fitted: FittedRbm, pairs: Tensor) -> Tensor:
    """Log-density of pairs (N, 2 E) in the embedding's own columns, float64 (N,), in nats."""
    whitener = fitted.whitener
    cut = whitener.project(pairs)
    white = cut @ whitener.mix
    inside = fitted.machine.log_likelihood(white, fitted.metrics["log_z"]).double()
    left_out = (pairs.double() - whitener.mean) - cut @ whitener.cut.T
    return inside + whitener.log_det + _outside(whitener, left_out)


def _outside(whitener: Whitener, left_out: Tensor) -> Tensor:
    """Log-density of what was cut off, (N,): variances at the cut in every direction."""
    total = torch.zeros(len(left_out), dtype=torch.float64)
    width, split = len(whitener.mean) // 2, whitener.split
    spread = whitener.covariance.diagonal()
    for rows, own, kept in (
        (left_out[:, :width], spread[:split], split),
        (left_out[:, width:], spread[split:], whitener.n_kept - split),
    ):
        floor = KEPT_ABOVE * own.max()
        constant = (width - kept) * (LOG_2PI + torch.log(floor))
        total -= (rows.square().sum(1) / floor + constant) / 2
    return total


def _measure(prepared: Prepared, values: Tensor) -> Measure:
    """Return the mean over pairs, to be drawn again by pictures."""
    _, picture = np.unique(prepared.test_pictures.numpy(), return_inverse=True)
    sums = np.bincount(picture, values.numpy()).astype(np.float64)
    return share_of(sums, np.bincount(picture).astype(np.float64))
