"""Energies, conditionals and samples of a machine are those of its joint distribution, summed out.

The slow method is enumeration: every hidden (and every binary visible) state.
"""

import math

import pytest
import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.partition import log_z_exact
from models.rbm.pseudo_likelihood import pseudo_log_likelihood
from models.rbm.settings import Training
from models.rbm.training import Learner
from models.rbm.units import Visible
from tests.machines import HIDDEN, VISIBLE, machine, states

ROWS = 7


def rows_for(visible: Visible, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(ROWS, VISIBLE, generator=generator, dtype=torch.float64)
    return (rows > 0).double() if visible == "bernoulli" else rows


def energy_by_loops(made: RBM, v: Tensor, h: Tensor) -> float:
    total = 0.0
    for i in range(VISIBLE):
        variance = math.exp(float(made.log_var[i]))
        if made.visible == "gaussian":
            total += float((v[i] - made.vbias[i]) ** 2) / (2 * variance)
        else:
            total -= float(made.vbias[i] * v[i])
        for j in range(made.n_hidden):
            total -= float(v[i] / variance * made.weight[i, j] * h[j])
    return total - float(made.hbias @ h)


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_energy_is_the_sum_over_units_and_pairs(visible: Visible) -> None:
    made, rows = machine(visible), rows_for(visible)
    hidden = states(HIDDEN)[:ROWS]
    slow = [energy_by_loops(made, v, h) for v, h in zip(rows, hidden, strict=True)]
    assert made.energy(rows, hidden).tolist() == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_free_energy_sums_the_hidden_states_out(visible: Visible) -> None:
    made, rows = machine(visible), rows_for(visible)
    every = torch.stack([-made.energy(rows, h.expand(ROWS, -1)) for h in states(HIDDEN)])
    assert torch.allclose(made.free_energy(rows), -torch.logsumexp(every, 0), atol=1e-12)


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_hidden_probabilities_are_the_joints_ratio(visible: Visible) -> None:
    made, rows = machine(visible), rows_for(visible)
    every = torch.stack([-made.energy(rows, h.expand(ROWS, -1)) for h in states(HIDDEN)])
    share = torch.softmax(every, 0)  # (2^H, N)
    assert torch.allclose(made.transform(rows), share.T @ states(HIDDEN), atol=1e-12)


def test_binary_visibles_given_hiddens_are_the_joints_ratio() -> None:
    made = machine("bernoulli")
    for hidden in states(HIDDEN):
        every = states(VISIBLE)
        share = torch.softmax(-made.energy(every, hidden.expand(len(every), -1)), 0)
        assert torch.allclose(made.mean_visible(hidden[None])[0], share @ every, atol=1e-12)


def test_the_gradient_of_minus_the_free_energy_leads_to_the_mean_of_the_visibles() -> None:
    # d log p / dv = -S^-1 (v - b - W sigmoid(.)) (research: score of a Gaussian machine)
    made, rows = machine("gaussian"), rows_for("gaussian").requires_grad_()
    (score,) = torch.autograd.grad(-made.free_energy(rows).sum(), rows)
    by_hand = -(rows - made.mean_visible(made.transform(rows))) * made.precision()
    assert torch.allclose(score, by_hand, atol=1e-12)


def test_free_energy_is_finite_where_exp_overflows() -> None:
    made = machine("gaussian")
    far = 1e4 * torch.ones(1, VISIBLE, dtype=torch.float64)
    assert torch.isfinite(made.free_energy(far)).all()


def test_pseudo_likelihood_is_that_of_each_bit_given_the_others() -> None:
    made, rows = machine("bernoulli"), rows_for("bernoulli")
    slow = []
    for row in rows:
        total = 0.0
        for unit in range(VISIBLE):
            both = row.repeat(2, 1)
            both[0, unit], both[1, unit] = 0.0, 1.0
            share = torch.softmax(-made.free_energy(both), 0)
            total += math.log(float(share[int(row[unit])]))
        slow.append(total)
    assert pseudo_log_likelihood(made, rows).tolist() == pytest.approx(slow, abs=1e-12)


def test_pseudo_likelihood_of_a_gaussian_machine_is_refused() -> None:
    with pytest.raises(ValueError, match="Gaussian"):
        pseudo_log_likelihood(machine("gaussian"), rows_for("gaussian"))


def test_observed_units_stay_and_the_others_follow_their_conditional() -> None:
    made = machine("bernoulli")
    observed = torch.tensor([True, True, False, True, True])
    rows = torch.tensor([[1.0, 0.0, 0.0, 1.0, 1.0]], dtype=torch.float64).repeat(6007, 1)
    drawn = made.sample_conditional(rows, observed, torch.Generator().manual_seed(5), steps=30)
    assert torch.equal(drawn[:, observed], rows[:, observed])
    both = rows[:2].clone()
    both[0, 2], both[1, 2] = 0.0, 1.0
    expected = float(torch.softmax(-made.free_energy(both), 0)[1])
    error = math.sqrt(expected * (1 - expected) / 6007)
    assert float(drawn[:, 2].mean()) == pytest.approx(expected, abs=5 * error)


def test_a_row_scores_the_same_alone_as_among_others() -> None:
    made, rows = machine("gaussian"), rows_for("gaussian")
    alone = torch.cat([made.free_energy(row[None]) for row in rows])
    assert torch.allclose(alone, made.free_energy(rows), rtol=0, atol=1e-13)


def test_a_standardised_machine_is_the_same_machine() -> None:
    # (W / s, (b - m) / s, sigma^2 / s^2, c + W' S^-1 m) on (v - m) / s: F stays, log Z falls by
    # the sum of log s.
    made = machine("gaussian")
    generator = torch.Generator().manual_seed(9)
    mean = torch.randn(VISIBLE, generator=generator, dtype=torch.float64)
    scale = torch.rand(VISIBLE, generator=generator, dtype=torch.float64) + 0.3
    other = RBM(VISIBLE, made.n_hidden)
    other.weight.copy_(made.weight / scale[:, None])
    other.vbias.copy_((made.vbias - mean) / scale)
    other.log_var.copy_(made.log_var - 2 * torch.log(scale))
    other.hbias.copy_(made.hbias + made.field(mean[None])[0])
    rows = torch.randn(ROWS, VISIBLE, generator=generator, dtype=torch.float64)
    moved = other.free_energy((rows - mean) / scale)
    assert torch.allclose(moved, made.free_energy(rows), atol=1e-10)
    shift = float(torch.log(scale).sum())
    assert log_z_exact(other) == pytest.approx(log_z_exact(made) - shift, abs=1e-10)


def test_a_start_from_data_is_no_saddle() -> None:
    made = RBM(VISIBLE, HIDDEN)
    rows = torch.randn(211, VISIBLE, generator=torch.Generator().manual_seed(0)).double()
    made.initialise(rows, torch.Generator().manual_seed(1))
    columns = made.weight.T * 2 + rows.mean(0)
    found = [bool((rows - column).abs().amax(1).min() < 1e-12) for column in columns]
    assert all(found)
    assert 0.02 < float((made.transform(rows) > 0.5).double().mean()) < 0.3


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_columns_that_go_together_start_near_zero(scale: float) -> None:
    made, generator = RBM(VISIBLE, HIDDEN), torch.Generator().manual_seed(0)
    rows = torch.randn(211, VISIBLE, generator=generator).double()
    rows[:, 1:] = (0.3 * rows[:, 1:] + rows[:, :1]) / scale
    rows[:, 2] = 7.0  # never varies
    made.initialise(rows, torch.Generator().manual_seed(1))
    assert 0 < float(made.weight.abs().max()) < 0.06
    assert float(made.hbias.abs().max()) == 0
    assert torch.allclose(made.vbias, rows.mean(0))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0, 3), "1 unit or more"),
        ((3, 0), "1 unit or more"),
        ((3, 2, "relu"), "gaussian, bernoulli or softmax, not 'relu'"),
    ],
)
def test_a_machine_that_cannot_be_is_refused(arguments: tuple[int, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RBM(*arguments)


def test_rows_of_another_width_are_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match="visible has 4 units, this machine has 5"):
        machine("gaussian").free_energy(torch.zeros(2, 4))


@pytest.mark.parametrize(
    ("visible", "rows", "said"),
    [
        ("gaussian", torch.tensor([[0.0, math.nan]]), "1 of 1 rows hold NaN or infinite"),
        ("bernoulli", torch.tensor([[0.0, 1.0], [math.inf, 0.0]]), "1 of 2 rows hold NaN"),
        ("bernoulli", torch.tensor([[0.0, 1.5]]), "from 0 to 1, these go from 0 to 1.5"),
        ("bernoulli", torch.tensor([[0.0, 1 + 2**-20]]), "these go from 0 to 1.00000095"),
        ("bernoulli", torch.tensor([[-0.5, 1.0]]), "from 0 to 1, these go from -0.5 to 1"),
        ("gaussian", torch.zeros(0, 2), "no rows"),
    ],
)
def test_rows_that_cannot_be_learnt_from_are_refused(
    visible: Visible, rows: Tensor, said: str
) -> None:
    made = RBM(2, 3, visible)
    with pytest.raises(ValueError, match=said):
        made.initialise(rows, torch.Generator())
    with pytest.raises(ValueError, match=said):
        Learner(made, torch.zeros(1, 2), torch.Generator(), Training()).update(rows, 0.1)
    assert made.weight.abs().max() == 0


def test_a_pixel_that_is_always_on_starts_finite() -> None:
    made = RBM(2, 3, "bernoulli")
    made.initialise(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.Generator().manual_seed(0))
    assert made.vbias.tolist() == pytest.approx([math.log(0.999 / 0.001), 0.0])
