"""Log Z by annealing agrees with the sum over all states; the bracket tells bad chains apart."""

import math

import pytest
import torch

from models.rbm.annealing import (
    Bracket,
    LogZ,
    bracketed,
    log_z_ais,
    log_z_reverse_ais,
)
from models.rbm.machine import RBM
from models.rbm.partition import hidden_log_weight, log_z_base, log_z_exact
from models.rbm.units import Hidden, Visible
from tests.machines import VISIBLE, machine, states

WIDE, MANY = 17, 11


def large(visible: Visible) -> RBM:
    """Modes are apart but can be reached."""
    generator = torch.Generator().manual_seed(0)
    made = RBM(WIDE, MANY, visible)
    steep = 0.5 if visible == "gaussian" else 1.2
    for name, scale in (("weight", steep), ("vbias", 0.5), ("hbias", 1.0)):
        value = getattr(made, name)
        value.copy_(scale * torch.randn(value.shape, generator=generator, dtype=value.dtype))
    if visible == "gaussian":
        made.log_var.copy_(0.3 * torch.randn(WIDE, generator=generator, dtype=torch.float64))
    return made


def exact_sample(made: RBM, count: int, generator: torch.Generator) -> torch.Tensor:
    """Rows (count, V) drawn with no chain: h from the sum over all of its states, then v."""
    every = states(made.n_hidden)
    share = torch.softmax(hidden_log_weight(made, every), 0)
    chosen = torch.multinomial(share, count, replacement=True, generator=generator)
    return made.sample_visible(every[chosen], generator)


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


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_a_large_machine_is_annealed_to_its_exact_value(visible: Visible) -> None:
    made = large(visible)
    found = log_z_ais(made, torch.Generator().manual_seed(1), chains=199, betas=1000)
    assert found.value == pytest.approx(log_z_exact(made), abs=5 * found.se + 0.02)
    assert found.se < 0.1
    assert 30 < found.ess <= 199


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_from_exact_samples_the_exact_value_lies_inside_the_bracket(visible: Visible) -> None:
    # In expectation the two are bounds; their means over repeats are so but for their own errors.
    made, exact = large(visible), log_z_exact(large(visible))
    gaps = []
    for betas in (7, 70):
        below, above = torch.zeros(13), torch.zeros(13)
        for seed in range(13):
            generator = torch.Generator().manual_seed(seed)
            below[seed] = log_z_ais(made, generator, chains=31, betas=betas).value
            rows = exact_sample(made, 31, generator)
            above[seed] = log_z_reverse_ais(made, rows, generator, betas=betas).value
        assert float(below.mean()) < exact + 3 * float(below.std()) / math.sqrt(13)
        assert float(above.mean()) > exact - 3 * float(above.std()) / math.sqrt(13)
        gaps.append(float(above.mean() - below.mean()))
    assert gaps[0] > max(3 * gaps[1], 0.1)


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_rows_that_are_not_the_machines_own_are_told(visible: Visible) -> None:
    made, generator = large(visible), torch.Generator().manual_seed(0)
    settled = exact_sample(made, 199, generator)
    elsewhere = 1 - settled if visible == "bernoulli" else 4 - settled
    wrong = bracketed(made, elsewhere, generator, betas=5, sweeps=0)
    assert wrong.gap < -0.5
    assert not wrong.thermalised
    assert bracketed(made, settled, generator, betas=300, sweeps=0).thermalised


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_a_machine_of_float32_is_annealed_with_weights_in_float64(visible: Visible) -> None:
    made = large(visible).float()
    generator = torch.Generator().manual_seed(2)
    found = log_z_ais(made, generator, chains=199, betas=300)
    assert found.value == pytest.approx(log_z_exact(made), abs=5 * found.se + 0.02)


def test_the_densities_of_all_states_sum_to_one() -> None:
    made = machine("bernoulli")
    total = made.log_likelihood(states(VISIBLE), log_z_exact(made)).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("hidden", [1, 14, 16])  # the sum goes in pieces of 2^14
def test_the_exact_sum_of_units_apart_is_a_product(hidden: int) -> None:
    made = RBM(2, hidden, "bernoulli")
    made.hbias.copy_(torch.linspace(-1, 1, hidden))
    by_hand = 2 * math.log(2) + float(torch.log1p(made.hbias.exp()).sum())
    assert log_z_exact(made) == pytest.approx(by_hand, abs=1e-10)


@pytest.mark.parametrize("hidden", ["gaussian", "relu"])
def test_a_density_without_an_integral_is_not_annealed(hidden: Hidden) -> None:
    made, draws = RBM(5, 3, "gaussian", hidden), torch.Generator().manual_seed(0)
    made.weight[2, 1] = 0.9
    started = made.sample(7, draws, 1)
    assert math.isfinite(bracketed(made, started, draws, betas=5, sweeps=0).gap)
    made.log_var[2] = -0.3  # 0.9 / exp(-0.15) is above 1
    with pytest.raises(ValueError, match=r"norm of S\^-1/2 W 1.05, 1 or more.* no finite integral"):
        log_z_ais(made, draws)
    with pytest.raises(ValueError, match="no finite integral"):
        log_z_reverse_ais(made, started, draws)


def test_rectified_hiddens_that_pull_apart_are_annealed_beyond_a_norm_of_one() -> None:
    """Two units of W = (.9, -.9) are never on together: each alone has an integral."""
    made, draws = RBM(1, 2, "gaussian", "relu"), torch.Generator().manual_seed(0)
    made.weight.copy_(torch.tensor([[0.9, -0.9]]))
    assert made.gain() > 1
    places = torch.linspace(-60, 60, 240_001, dtype=torch.float64)[:, None]
    exact = math.log(float(torch.trapezoid(torch.exp(-made.free_energy(places)), places[:, 0])))
    found = log_z_ais(made, draws, chains=999, betas=300)
    assert found.value == pytest.approx(exact, abs=5 * found.se + 0.02)
