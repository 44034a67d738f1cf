"""Log Z by annealing agrees with the sum over all states; the bracket tells bad chains apart."""

import math

import pytest
import torch

from models.partition import (
    Bracket,
    LogZ,
    bracketed,
    log_z_ais,
    log_z_base,
    log_z_exact,
    log_z_reverse_ais,
)
from models.rbm import RBM, Visible
from tests.machines import VISIBLE, machine, states


def test_the_exact_sum_of_a_binary_machine_is_that_over_all_visibles() -> None:
    made = machine("bernoulli")
    slow = torch.logsumexp(-made.free_energy(states(VISIBLE)), 0)
    assert log_z_exact(made) == pytest.approx(float(slow), abs=1e-12)


def test_the_exact_sum_of_a_gaussian_machine_is_the_integral_over_a_grid() -> None:
    made = RBM(2, 3)
    generator = torch.Generator().manual_seed(2)
    made.weight.copy_(0.9 * torch.randn(2, 3, generator=generator))
    made.hbias.copy_(0.5 * torch.randn(3, generator=generator))
    made.vbias.copy_(torch.tensor([0.3, -0.4]))
    made.log_var.copy_(torch.tensor([0.4, -0.5]))
    axis = torch.linspace(-12, 12, 1201, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    cell = math.log(float(axis[1] - axis[0]) ** 2)
    slow = torch.logsumexp(-made.free_energy(grid), 0) + cell
    assert log_z_exact(made) == pytest.approx(float(slow), abs=1e-6)


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_without_weights_log_z_is_that_of_independent_units(visible: Visible) -> None:
    made = machine(visible)
    made.weight.zero_()
    assert log_z_exact(made) == pytest.approx(log_z_base(made), abs=1e-12)
    found = log_z_ais(made, torch.Generator().manual_seed(0), chains=11, betas=7)
    assert found.value == pytest.approx(log_z_base(made), abs=1e-12)
    assert found.ess == pytest.approx(11)


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("seed", [0, 3, 7])
def test_annealing_up_lies_within_its_error_of_the_exact_value(visible: Visible, seed: int) -> None:
    made = machine(visible, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    found = log_z_ais(made, generator, chains=257, betas=300)
    assert found.value == pytest.approx(log_z_exact(made), abs=4 * found.se + 0.02)
    assert 1 <= found.ess <= 257


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_annealing_down_from_settled_rows_lies_within_its_error_too(visible: Visible) -> None:
    made, generator = machine(visible), torch.Generator().manual_seed(4)
    start = torch.zeros(257, VISIBLE, dtype=torch.float64)
    settled = made.gibbs_step(start, generator, steps=200)
    found = log_z_reverse_ais(made, settled, generator, betas=300)
    assert found.value == pytest.approx(log_z_exact(made), abs=4 * found.se + 0.02)


def test_settled_chains_close_the_bracket_and_stuck_ones_are_told() -> None:
    # Two far modes: chains that all start in the lesser one cannot leave it.
    made = RBM(3, 1)
    made.weight.copy_(torch.full((3, 1), 9.0))
    # At h = 1 the weight is hbias + |W|^2 / 2; here the mode at 0 has only e^-8 of the mass.
    made.hbias.fill_(8.0 - 3 * 81 / 2)
    lesser = torch.zeros(199, 3, dtype=torch.float64)
    greater = torch.full((199, 3), 9.0, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    stuck = bracketed(made, lesser, generator, betas=600, sweeps=20)
    settled = bracketed(made, greater, generator, betas=600, sweeps=20)
    assert stuck.reverse.value < log_z_exact(made) - 4
    assert settled.reverse.value > stuck.reverse.value + 4


def test_a_bracket_is_thermal_unless_the_way_down_ends_below_the_way_up() -> None:
    good = Bracket(LogZ(10.0, 0.1, 50.0), LogZ(10.2, 0.1, 50.0))
    bad = Bracket(LogZ(10.0, 0.1, 50.0), LogZ(9.0, 0.1, 50.0))
    assert good.thermalised
    assert not bad.thermalised
    assert bad.gap == pytest.approx(-1.0)


def test_too_many_hidden_units_for_an_exact_sum_are_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="up to 24 hidden units can be summed, use log_z_ais"):
        log_z_exact(RBM(2, 25))
