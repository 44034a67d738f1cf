"""Rows that would spoil a machine are refused in one line, or left out and counted."""

import logging
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.rows import constant_columns, screened
from models.rbm.settings import Training
from models.rbm.training import Learner

WIDTH = 5


def rows_of(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed)).double()


def damaged(count: int, *numbers: int) -> Tensor:
    rows = rows_of(count)
    for number in numbers:
        rows[number, number % WIDTH] = math.nan if number % 2 else math.inf
    return rows


def begun(how: Training, count: int = 211) -> Learner:
    return Learner.begin(RBM(WIDTH, 3), rows_of(count), how, seed=1)


def test_damaged_rows_are_named_by_number() -> None:
    with pytest.raises(ValueError, match=r"2 of 11 rows hold NaN or infinite values \(row 3, 8\)"):
        screened(damaged(11, 3, 8), "gaussian", WIDTH)
    with pytest.raises(ValueError, match=r"\(rows 0, 1, 2, 3, 4, \.\.\.\); drop them first"):
        screened(damaged(11, *range(7)), "gaussian", WIDTH)


def test_dropped_rows_are_left_out_and_told() -> None:
    found = screened(damaged(11, 3, 8), "gaussian", WIDTH, on_bad="drop")
    assert found.dropped == (3, 8)
    whole = rows_of(11)
    assert torch.equal(found.rows, torch.cat([whole[:3], whole[4:8], whole[9:]]))


def test_a_table_of_nothing_but_damage_is_refused_even_when_dropping() -> None:
    with pytest.raises(ValueError, match="2 of 2 rows hold NaN"):
        screened(damaged(2, 0, 1), "gaussian", WIDTH, on_bad="drop")


def test_learning_from_the_rest_is_learning_without_the_damaged() -> None:
    how = Training(on_bad="drop", chains=13)
    one, other = begun(how), begun(how)
    whole = rows_of(211, seed=2)
    step = one.partial_fit(torch.cat([whole[:7], damaged(1, 0), whole[7:]]))
    assert (step.rows, step.dropped) == (211, 1)
    other.partial_fit(whole)
    assert torch.equal(one.machine.weight, other.machine.weight)
    assert one.card()["dropped"] == 1


def test_more_than_one_damaged_row_in_a_hundred_is_an_error() -> None:
    taught = begun(Training(on_bad="drop", chains=13))
    taught.partial_fit(damaged(211, 17, 31))
    with pytest.raises(ValueError, match=r"7 of 422 rows so far hold NaN .* mend the export"):
        taught.partial_fit(damaged(211, 3, 5, 7, 11, 13))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.zeros((3, WIDTH)), r"tensor of real numbers \(N, 5\), got a ndarray of float64"),
        (np.array([["a"] * WIDTH], dtype=object), "got a ndarray of object"),
        ([[0.0] * WIDTH], "got a list of no dtype"),
        (torch.zeros(WIDTH), r"got one of shape \(5,\) and torch.float32"),
        (torch.zeros(3, WIDTH, dtype=torch.complex64), "and torch.complex64"),
        (torch.zeros(3, 4), "rows have 4 columns, this machine has 5 visible units"),
        (torch.zeros(0, WIDTH), "there are no rows"),
    ],
)
def test_what_is_no_table_of_this_width_is_refused_with_what_came(rows: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        screened(rows, "gaussian", WIDTH)


def test_whole_numbers_and_truths_are_rows_too() -> None:
    whole = torch.tensor([[0, 1, 1, 0, 1]])
    for rows in (whole, whole.bool(), whole.to(torch.uint8), whole.half()):
        assert len(screened(rows, "bernoulli", WIDTH).rows) == 1
    taught = Learner.begin(RBM(WIDTH, 3, "bernoulli"), torch.eye(5), Training.of("bernoulli"))
    assert taught.partial_fit(torch.eye(5).bool()).rows == 5


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.5), (-0.5, 1.0), (0.0, 255.0)])
def test_values_outside_0_and_1_are_refused_for_discrete_visibles(low: float, high: float) -> None:
    rows = torch.full((3, WIDTH), low)
    rows[1, 2] = high
    with pytest.raises(ValueError, match=f"from 0 to 1, these go from {low:g} to {high:g}"):
        screened(rows, "bernoulli", WIDTH)


def test_softmax_groups_that_do_not_sum_to_1_are_refused_by_number() -> None:
    rows = torch.eye(3, dtype=torch.float64).repeat(4, 2)
    assert len(screened(rows, "softmax", 6, categories=3).rows) == 12
    rows[7, 0] = 1.0
    with pytest.raises(ValueError, match=r"sums to 1; 1 of 12 rows do not \(row 7\)"):
        screened(rows, "softmax", 6, categories=3)


def test_values_between_0_and_1_are_taken_as_probabilities_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = torch.rand(17, WIDTH, generator=torch.Generator().manual_seed(0))
    with caplog.at_level(logging.INFO):
        taught = Learner.begin(RBM(WIDTH, 3, "bernoulli"), rows, Training.of("bernoulli"))
        taught.partial_fit(rows)
        taught.partial_fit(rows)
    assert [r.message for r in caplog.records] == [
        "values between 0 and 1 are taken as probabilities"
    ]
    assert set(taught.chains.flatten().tolist()) == {0.0, 1.0}


def test_a_column_that_never_varies_is_told_once_and_keeps_its_variance(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = rows_of(211)
    rows[:, 2] = 0.3
    made = RBM(WIDTH, 3)
    with caplog.at_level(logging.INFO):
        taught = Learner.begin(made, rows, Training(updates=300, chains=31), seed=3)
        norms = [taught.partial_fit(rows).grad_norm for _ in range(300)]
    assert [r.message for r in caplog.records] == ["1 columns never vary and keep variance 1: [2]"]
    assert float(made.log_var[2]) == 0
    assert taught.trouble(norms[-1]) == ""


def test_rows_of_constant_columns_alone_teach_nothing() -> None:
    with pytest.raises(ValueError, match="all columns are constant"):
        Learner.begin(RBM(WIDTH, 3), torch.ones(7, WIDTH), Training())
    assert constant_columns(torch.tensor([[1.0, 2.0], [1.0, 3.0]])).tolist() == [True, False]


def test_columns_of_another_scale_are_sent_to_be_standardised() -> None:
    with pytest.raises(ValueError, match=r"variances from .* to .*; standardise or whiten them"):
        Learner.begin(RBM(WIDTH, 3), 255 * rows_of(31), Training())
