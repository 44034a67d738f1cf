"""How sure a difference is: pictures are drawn again, and the seeds of what was fitted too.

All arms see the same resamples. A p-value is twice the share of resamples on the other side of 0,
and Holm's procedure keeps the chance of any false alarm over all arms at 5 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tasks.metrics.bootstrap import PERCENTILES, resampled

Floats = NDArray[np.float64]

RESAMPLES = 10_000
SEED = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """A mean, or a difference of two, with its 95 % interval and two-sided p-value against 0."""

    value: float
    low: float
    high: float
    p: float

    @property
    def is_clear(self) -> bool:
        """The interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Resamples:
    """Means of one measure by arm: as measured, and in every resample (RESAMPLES,)."""

    means: Mapping[str, float]
    drawn: Mapping[str, Floats]

    def mean(self, arm: str) -> Compared:
        """Return an arm's mean."""
        return compared(self.means[arm], self.drawn[arm])

    def difference(self, arm: str, other: str) -> Compared:
        """Return how much higher `arm` is than `other`."""
        return compared(self.means[arm] - self.means[other], self.drawn[arm] - self.drawn[other])


def resample(measured: Mapping[str, Tensor], resamples: int = RESAMPLES) -> Resamples:
    """Draw pictures, and for each arm with S > 1 seeds, again and again.

    Args:
        measured: double (S, N) by arm, the same N pictures.
        resamples: how often.
    """
    tables = {arm: values.numpy() for arm, values in measured.items()}
    count = next(iter(tables.values())).shape[1]
    sums = resampled(np.concatenate(list(tables.values())).T, resamples, SEED) / count
    most = max(len(table) for table in tables.values())
    generator = np.random.default_rng(SEED + 1)
    seeds = generator.integers(most, size=(resamples, most))
    drawn, at = {}, 0
    for arm, table in tables.items():
        own = sums[:, at : at + len(table)]
        at += len(table)
        drawn[arm] = np.take_along_axis(own, seeds % len(table), axis=1).mean(axis=1)
    return Resamples({arm: float(table.mean()) for arm, table in tables.items()}, drawn)


def compared(value: float, drawn: Floats) -> Compared:
    """Return a value with the interval and p-value of its resamples."""
    low, high = np.percentile(drawn, PERCENTILES)
    beyond = min(np.mean(drawn <= 0), np.mean(drawn >= 0))
    # At least one of resamples + 1: that none was seen is no proof that there is none.
    return Compared(value, float(low), float(high), min(1.0, 2 * float(beyond) + 1 / len(drawn)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted for their number (Holm 1979)."""
    adjusted, largest = {}, 0.0
    ordered = sorted(p_values.items(), key=lambda item: item[1])
    for place, (name, p) in enumerate(ordered):
        largest = max(largest, min(1.0, p * (len(ordered) - place)))
        adjusted[name] = largest
    return adjusted
