"""What a version must reach to become champion, and why one does not."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.errors import InputError, ModelError
from tasks.metrics.bootstrap import Difference, Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """What a version must reach to become champion.

    Attributes:
        floors: of each gate metric (higher is better) the least value, such as chance.
        leaked: evaluation pictures found among the training pictures; with any, scores say nothing.
        gains: gate metrics in which it must be better than the champion, beyond the interval, where
            both were measured on the same rows; in the others it must not be worse.
    """

    floors: Mapping[str, float]
    leaked: int = 0
    gains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.floors:
            raise InputError("a gate names at least one metric and its floor")


def objections(
    mine: Mapping[str, Estimate],
    gate: Gate,
    theirs: Mapping[str, Estimate],
    paired: Mapping[str, Difference],
) -> list[str]:
    """Return why a version does not pass; nothing when it does.

    Args:
        mine: the version's metrics.
        gate: the floors.
        theirs: the champion's metrics; empty where there is none.
        paired: differences to the champion on the same pictures, which are sharper than two
            intervals; a metric that is not among them is compared by the intervals.

    Raises:
        ModelError: a gate metric is not among `mine`.
    """
    found = [f"{gate.leaked} evaluation pictures are among its training"] if gate.leaked else []
    for metric, floor in gate.floors.items():
        if metric not in mine:
            raise ModelError(f"the version has no metric {metric}; register it with its evaluation")
        value = mine[metric].value
        if not value >= floor:  # true of NaN
            told = f"{value:.4g}", f"{floor:.4g}"
            how = "not above" if told[0] == told[1] else "below"
            found.append(f"{metric} {told[0]} is {how} {told[1]}")
        if metric in theirs:
            change = paired[metric].difference if metric in paired else None
            change = change or _unpaired(theirs[metric], mine[metric])
            if change.high < 0:
                found.append(f"{metric} {value:.4g} is worse than the champion's by {change}")
            elif metric in gate.gains and metric in paired and change.low <= 0:
                found.append(f"{metric} is no clear gain on the champion's: {change}")
    return found


def _unpaired(theirs: Estimate, mine: Estimate) -> Estimate:
    """Return mine - theirs with its interval, the two being independent."""
    down = math.hypot(mine.value - mine.low, theirs.high - theirs.value)
    up = math.hypot(mine.high - mine.value, theirs.value - theirs.low)
    change = mine.value - theirs.value
    return Estimate(change, change - down, change + up)
