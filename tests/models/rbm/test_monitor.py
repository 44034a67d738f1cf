"""What a run's page shows of a machine is what it says, worked out apart."""

import pytest
import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.monitor import mixing, moments_apart, progress
from tests.machines import VISIBLE, machine, states
from tests.models.rbm.test_sampling import two_modes


def rows_of(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, VISIBLE, generator=torch.Generator().manual_seed(seed)).double()


def test_a_gaussian_machines_numbers_are_those_of_its_formulas() -> None:
    made, train, held = machine("gaussian"), rows_of(31), rows_of(17, 1)
    found = progress(made, train, held)
    free = made.free_energy(held).mean()
    assert found["free_energy"] == pytest.approx(float(free))
    assert found["free_energy_gap"] == pytest.approx(float(free - made.free_energy(train).mean()))
    on = torch.sigmoid(made.hbias + (held / made.log_var.exp()) @ made.weight)
    error = ((made.vbias + on @ made.weight.T - held) ** 2).mean()
    assert found["recon_mse"] == pytest.approx(float(error))
    norms = made.weight.square().sum(0).sqrt()
    assert found["weight_norm_min"] == pytest.approx(float(norms.min()))
    assert found["weight_norm_max"] == pytest.approx(float(norms.max()))
    assert found["activation_median"] == pytest.approx(float(on.mean(0).median()))
    assert found["variance_max"] == pytest.approx(float(made.log_var.exp().max()))
    assert "pll" not in found


def test_a_binary_machine_has_a_pseudo_likelihood_per_row_and_per_unit() -> None:
    found = progress(machine("bernoulli"), states(VISIBLE), states(VISIBLE))
    assert found["pll"] == pytest.approx(VISIBLE * found["pll_per_unit"])
    assert found["free_energy_gap"] == 0
    assert "variance_min" not in found


def test_units_that_are_off_or_on_are_counted() -> None:
    made = machine("gaussian")
    made.hbias.copy_(torch.tensor([-1e3, 1e3, 0.0]))
    found = progress(made, rows_of(31), rows_of(17))
    assert (found["hidden_off"], found["hidden_on"]) == pytest.approx((1 / 3, 1 / 3))


@pytest.mark.parametrize("hidden", ["relu", "gaussian"])
def test_real_hiddens_have_no_share_of_units_off(hidden: str) -> None:
    made = RBM(VISIBLE, 3, hidden=hidden)  # type: ignore[arg-type]
    assert "hidden_off" not in progress(made, rows_of(31), rows_of(17))


def test_chains_that_mix_are_thermalised_and_chains_that_cannot_are_not() -> None:
    generator = torch.Generator().manual_seed(0)
    easy = mixing(two_modes(1.0), (rows_of(997)[:, :1] > 0).double().repeat(1, 9), generator, 20)
    assert easy["thermalised"] == 1.0
    # All data in one mode, all noise settling in both.
    hard = mixing(two_modes(12.0), torch.ones(997, 9), generator, 20)
    assert hard["thermalised"] == 0.0
    assert hard["mixing_data_noise"] > 0.5


def test_moments_are_apart_by_what_is_beyond_chance() -> None:
    one, other = rows_of(5003), rows_of(5003, 1)
    assert moments_apart(one, other) < 0.05
    assert moments_apart(one, other + 1) == pytest.approx(2 / 5**0.5, rel=0.1)
