"""The gate lets a version pass that reaches its floors and is not worse than the champion."""

import math

import pytest

from tasks.errors import InputError, ModelError
from tasks.gate import Gate, objections
from tasks.metrics.bootstrap import Difference, Estimate

GATE = Gate(floors={"cider_d": 0.2, "itm_tr_r1": 0.01})
MINE = {"cider_d": Estimate(0.5, 0.4, 0.6), "itm_tr_r1": Estimate(0.3, 0.25, 0.35)}


def difference(low: float, high: float) -> Difference:
    middle = (low + high) / 2
    return Difference(0.0, middle, Estimate(middle, low, high), 0.5)


def test_a_first_version_passes_by_its_floors_alone() -> None:
    assert objections(MINE, GATE, {}, {}) == []
    low = {**MINE, "cider_d": Estimate(0.19, 0.1, 0.3)}
    assert objections(low, GATE, {}, {}) == ["cider_d 0.19 is below 0.2"]
    broken = {**MINE, "itm_tr_r1": Estimate(math.nan, math.nan, math.nan)}
    assert objections(broken, GATE, {}, {}) == ["itm_tr_r1 nan is below 0.01"]


def test_a_version_is_worse_only_when_the_whole_interval_says_so() -> None:
    theirs = {"cider_d": Estimate(0.6, 0.5, 0.7)}
    # 0.5 - 0.6 = -0.1, give or take hypot(0.1, 0.1) = 0.141: zero is inside.
    assert objections(MINE, GATE, theirs, {}) == []
    far = {"cider_d": Estimate(0.7, 0.6, 0.8)}
    # -0.2 + 0.141 < 0
    (said,) = objections(MINE, GATE, far, {})
    assert said.startswith("cider_d 0.5 is worse than the champion's by -0.2 [-0.34")


def test_a_difference_on_the_same_pictures_decides_where_it_is_known() -> None:
    theirs = {"cider_d": Estimate(0.6, 0.5, 0.7)}
    (said,) = objections(MINE, GATE, theirs, {"cider_d": difference(-0.15, -0.05)})
    assert "by -0.1 [-0.15, -0.05]" in said
    far = {"cider_d": Estimate(0.9, 0.8, 1.0)}
    assert objections(MINE, GATE, far, {"cider_d": difference(-0.9, 0.0)}) == []


def test_every_gate_metric_counts_and_no_other() -> None:
    theirs = {"itm_tr_r1": Estimate(0.9, 0.88, 0.92), "rouge_l": Estimate(9, 9, 9)}
    (said,) = objections({**MINE, "rouge_l": Estimate(0, 0, 0)}, GATE, theirs, {})
    assert said.startswith("itm_tr_r1 0.3 is worse")


def test_scores_on_pictures_that_were_trained_on_count_for_nothing() -> None:
    (said,) = objections(MINE, Gate(floors={"cider_d": 0.0}, leaked=3), {}, {})
    assert said == "3 evaluation pictures are among its training"


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ModelError, match="no metric itm_tr_r1"):
        objections({"cider_d": MINE["cider_d"]}, GATE, {}, {})
    with pytest.raises(InputError, match="at least one metric"):
        Gate(floors={})
