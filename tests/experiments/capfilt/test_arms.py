"""The arms hold what their names say, and the answer follows the rule that was set before."""

import pytest

from tests.experiments.capfilt.report import pooled, verdicts

SCORES = ("itm_tr_r1", "itm_ir_r1", "itc_tr_r1", "cider_d", "self_r1")


def found(raw: list[float], capfilt: list[float]) -> dict[str, list[dict[str, float]]]:
    values = {"raw": raw, "captioner+filter": capfilt}
    return {arm: [dict.fromkeys(SCORES, one) for one in own] for arm, own in values.items()}


def test_the_pooled_deviation_is_the_root_of_the_mean_variance() -> None:
    # Variances by hand: of 1, 3 it is 2; of 2, 8 it is 18; their mean is 10.
    assert pooled([1.0, 3.0], [2.0, 8.0]) == pytest.approx(10**0.5)


@pytest.mark.parametrize(
    ("capfilt", "said"),
    [
        ([0.50, 0.54, 0.58], "better"),
        ([0.36, 0.40, 0.44], "no clear difference"),
        ([0.10, 0.14, 0.18], "worse"),
    ],
)
def test_a_gain_counts_above_two_pooled_standard_deviations(
    capfilt: list[float], said: str
) -> None:
    line = next(verdicts(found([0.30, 0.34, 0.38], capfilt)))  # sd .04 each, so pooled .04
    assert f"pooled sd 0.040: {said}," in line
