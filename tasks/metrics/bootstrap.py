"""How sure a score is: the images are drawn again, with replacement, a thousand times.

A measure keeps for every image what its corpus score is a function of, so that a resample is a sum
of rows: for a mean the value and 1, for BLEU its counts. Two models on the same images are compared
by the differences of the same resamples, which is far sharper than comparing two intervals
(Koehn 2004, "Statistical significance tests for machine translation evaluation").
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.metrics.bleu import bleu
from tasks.metrics.meteor import COUNTS, meteor

Floats = NDArray[np.float64]

PERCENTILES = (2.5, 97.5)
RESAMPLES_AT_ONCE = 64  # of 5,000 images: 2.5 MB of draws


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score and the interval that holds 95 of 100 resamples of the images."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True, slots=True)
class Measure:
    """What every image adds to a score.

    Attributes:
        rows: float (N, C).
        score: from sums of rows (..., C) to scores (...).
    """

    rows: Floats
    score: Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better `b` is than `a` on the same images.

    Attributes:
        a: the score of a.
        b: the score of b.
        difference: b - a with its interval.
        share_b_better: of the resamples, ties counted half; 0.5 says nothing, 1 that b won all.
    """

    a: float
    b: float
    difference: Estimate
    share_b_better: float

    @property
    def is_clear(self) -> bool:
        """True when the interval of the difference leaves out 0."""
        return self.difference.low > 0 or self.difference.high < 0


def mean_of(values: Floats) -> Measure:
    """A score that is the mean of one value an image, float (N,)."""
    return Measure(np.stack([values, np.ones_like(values)], axis=1), _ratio)


def share_of(sums: Floats, counts: Floats) -> Measure:
    """A score that is a mean over the texts of all images: sums and numbers of them, float (N,)."""
    return Measure(np.stack([sums, counts], axis=1), _ratio)


def bleu_of(counts: Floats) -> Measure:
    """BLEU-4 from `bleu_counts`, float (N, 10)."""
    return Measure(counts, _bleu_4)


def meteor_of(counts: Floats) -> Measure:
    """METEOR from its program's counts, float (N, 23)."""
    return Measure(counts, meteor)


def measure_of(rows: Floats) -> Measure:
    """Rebuild a measure from its rows: the number of columns says whose counts they are."""
    return Measure(rows, {2: _ratio, COUNTS: meteor}.get(rows.shape[1], _bleu_4))


def estimate(measure: Measure, resamples: int, seed: int) -> Estimate:
    """Return a measure's score with its interval; the same arguments give the same interval."""
    value = float(measure.score(measure.rows.sum(axis=0)))
    drawn = measure.score(resampled(measure.rows, resamples, seed))
    return _estimate(value, drawn)


def estimates(measures: Mapping[str, Measure], resamples: int, seed: int) -> dict[str, Estimate]:
    """Return each measure's score with its interval."""
    return {name: estimate(one, resamples, seed) for name, one in measures.items()}


def difference(a: Measure, b: Measure, resamples: int, seed: int) -> Difference:
    """Compare two models on the same images, row by row.

    Raises:
        ValueError: the measures are of different images.
    """
    if len(a.rows) != len(b.rows):
        raise ValueError(
            f"paired resampling needs the same images twice, got {len(a.rows)} and {len(b.rows)}"
        )
    both = [float(one.score(one.rows.sum(axis=0))) for one in (a, b)]
    drawn = [one.score(resampled(one.rows, resamples, seed)) for one in (a, b)]
    change = drawn[1] - drawn[0]
    won = float(np.mean((change > 0) + 0.5 * (change == 0)))
    return Difference(both[0], both[1], _estimate(both[1] - both[0], change), won)


def resampled(rows: Floats, resamples: int, seed: int) -> Floats:
    """Return the sums of `resamples` draws of N rows out of N, float (resamples, C)."""
    generator = np.random.default_rng(seed)
    n = len(rows)
    sums = np.empty((resamples, rows.shape[1]))
    for start in range(0, resamples, RESAMPLES_AT_ONCE):
        many = min(RESAMPLES_AT_ONCE, resamples - start)
        drawn = generator.integers(n, size=(many, n))
        weights = np.stack([np.bincount(one, minlength=n) for one in drawn])
        sums[start : start + many] = weights @ rows
    return sums


def _estimate(value: float, drawn: Floats) -> Estimate:
    low, high = np.percentile(drawn, PERCENTILES)
    return Estimate(value, float(low), float(high))


def _ratio(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1e-12))


def _bleu_4(sums: Floats) -> Floats:
    return np.asarray(bleu(sums)[..., 3])
