"""Whatever a learner is given, it learns from it or says what is wrong, and keeps what it has."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.settings import Training
from models.rbm.training import Learner
from models.rbm.units import Visible

VISIBLE, HIDDEN, ROWS = 5, 3, 23


def rows_of(visible: Visible, dtype: torch.dtype = torch.float32) -> Tensor:
    rows = torch.randn(ROWS, VISIBLE, generator=torch.Generator().manual_seed(3))
    return (rows > 0).to(dtype) if visible == "bernoulli" else rows.to(dtype)


def begun(visible: Visible, dtype: torch.dtype = torch.float32, **how: Any) -> Learner:
    made = RBM(VISIBLE, HIDDEN, visible, dtype=dtype)
    return Learner.begin(made, rows_of(visible), Training.of(visible, chains=7, k=1, **how))


def parameters(taught: Learner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in taught.machine.named_parameters()}


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("rate", [1e200, math.inf, math.nan])
def test_a_step_too_long_for_the_dtype_moves_nothing_and_is_told(
    visible: Visible, rate: float
) -> None:
    taught = begun(visible)
    taught.update(rows_of(visible), 0.01)
    before = parameters(taught)
    norm = taught.update(rows_of(visible), rate)
    assert norm == math.inf
    assert taught.trouble(norm) == "a step too long for torch.float32"
    assert taught.updates == 1
    for name, value in parameters(taught).items():
        assert torch.equal(value, before[name]), name


def test_a_huge_rate_among_the_settings_ends_in_trouble_too() -> None:
    taught = begun("bernoulli", learning_rate=1e200)
    step = taught.partial_fit(rows_of("bernoulli"))
    assert step.grad_norm == math.inf
    assert "too long" in taught.trouble(step.grad_norm)


def test_rows_beyond_float32_are_infinite_to_a_machine_of_float32() -> None:
    rows = rows_of("gaussian", torch.float64)
    rows[4, 2] = 1e300
    taught = begun("gaussian")
    with pytest.raises(ValueError, match=r"1 of 23 rows hold NaN or infinite values \(row 4\)"):
        taught.partial_fit(rows)
    begun("gaussian", torch.float64).partial_fit(rows / 1e299)


def test_rows_whose_squares_overflow_leave_the_parameters_as_they_are() -> None:
    taught, rows = begun("gaussian"), rows_of("gaussian")
    rows[0] = 3e38
    before = parameters(taught)
    norm = taught.update(rows, 0.01)
    assert not math.isfinite(norm)
    assert "norm" in taught.trouble(norm)
    for name, value in parameters(taught).items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_half_precision_strides_and_gradients_make_no_difference(visible: Visible) -> None:
    plain = rows_of(visible).half().float()
    strided = torch.empty(VISIBLE, 2 * ROWS).T[::2].copy_(plain)
    assert not strided.is_contiguous()
    states = []
    for rows in (plain, plain.half(), strided, plain.clone().requires_grad_()):
        taught = begun(visible)
        taught.partial_fit(rows)
        assert not taught.machine.weight.requires_grad
        states.append(taught.state())
    for other in states[1:]:
        assert all(torch.allclose(other[name], value) for name, value in states[0].items())


def test_draws_of_rows_that_ask_for_gradients_are_plain_numbers() -> None:
    taught, rows = begun("bernoulli"), rows_of("bernoulli").requires_grad_()
    hidden = taught.machine.sample_hidden(rows, taught.generator)
    again = taught.machine.sample_visible(hidden, taught.generator)
    assert not hidden.requires_grad
    assert set(again.flatten().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_one_unit_a_side_one_row_and_copies_of_it_are_enough(visible: Visible) -> None:
    made = RBM(1, 1, visible, dtype=torch.float32)
    rows = torch.tensor([[0.0], [1.0]]).repeat(6, 1)
    taught = Learner.begin(made, rows, Training.of(visible, chains=3, k=1))
    for _ in range(5):
        step = taught.partial_fit(rows[:1])
        assert math.isfinite(step.grad_norm)
    assert made.sample(1, taught.generator, sweeps=2).shape == (1, 1)


@pytest.mark.parametrize("k", [0, -1, 2.5])
def test_sweeps_are_counted_in_whole_numbers(k: Any) -> None:
    with pytest.raises(ValueError, match="k is above 0 and whole"):
        Training(k=k)
    if k < 0:
        with pytest.raises(ValueError, match="0 sweeps or more, not -1"):
            begun("gaussian").machine.gibbs_step(rows_of("gaussian"), torch.Generator(), k)


def test_no_sweeps_leave_chains_as_they_are_in_a_place_of_their_own() -> None:
    rows = rows_of("bernoulli")
    stayed = begun("bernoulli").machine.gibbs_step(rows, torch.Generator(), 0)
    assert torch.equal(stayed, rows)
    assert stayed.data_ptr() != rows.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_machines_of_other_than_float32_and_float64_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match="float32 or float64"):
        RBM(VISIBLE, HIDDEN, dtype=dtype)


def test_a_single_row_without_its_second_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match=r"visible is \(N, 5\), not \(5,\)"):
        begun("gaussian").machine.free_energy(torch.zeros(VISIBLE))


def test_a_state_of_another_dtype_or_in_part_is_refused_and_changes_nothing() -> None:
    taught, other = begun("gaussian"), begun("gaussian", torch.float64)
    before = parameters(taught)
    with pytest.raises(ValueError, match=r"of torch.float64, this machine's"):
        taught.restore(other.state())
    torn = taught.state()
    del torn["chains"], torn["counts"]
    with pytest.raises(ValueError, match="lacks chains, counts"):
        taught.restore(torn)
    for name, value in parameters(taught).items():
        assert torch.equal(value, before[name]), name
