"""Softmax visibles and Gaussian or rectified hiddens make machines whose every part agrees.

The slow methods: enumeration of discrete units, and sums over a fine grid for real hiddens.
"""

import itertools
import math
from typing import Any

import pytest
import torch
from scipy.stats import kstest, norm, truncnorm  # type: ignore[import-untyped]
from torch import Tensor

from models.rbm.annealing import base_rates, log_z_ais, log_z_reverse_ais
from models.rbm.draws import (
    log_normal_tail,
    mean_of_positives,
    one_hots_,
    positives_,
)
from models.rbm.gaussian import log_density
from models.rbm.machine import RBM
from models.rbm.partition import hidden_log_weight, log_z_exact
from models.rbm.pseudo_likelihood import pseudo_log_likelihood, pseudo_log_likelihood_per_unit
from models.rbm.units import Hidden, Visible
from tests.machines import states

GROUPS, CATEGORIES, HIDDEN = 2, 3, 2
DRAWS = 40_009


def made(visible: Visible, hidden: Hidden, seed: int = 0, scale: float = 0.3) -> RBM:
    """A machine of 6 visibles, 2 groups of 3 where they are softmax, and 2 hiddens."""
    generator = torch.Generator().manual_seed(seed)
    categories = CATEGORIES if visible == "softmax" else 0
    one = RBM(GROUPS * CATEGORIES, HIDDEN, visible, hidden, categories=categories)
    for name, size in (("weight", scale), ("vbias", 0.6), ("hbias", 0.7)):
        value = getattr(one, name)
        value.copy_(size * torch.randn(value.shape, generator=generator, dtype=value.dtype))
    if visible == "gaussian":
        one.log_var.copy_(0.3 * torch.randn(6, generator=generator, dtype=torch.float64))
    return one


def one_hots() -> Tensor:
    """All 9 states of the two groups."""
    eye = torch.eye(CATEGORIES, dtype=torch.float64)
    both = itertools.product(range(CATEGORIES), repeat=GROUPS)
    return torch.stack([torch.cat([eye[a], eye[b]]) for a, b in both])


def all_visibles(one: RBM) -> Tensor:
    return one_hots() if one.visible == "softmax" else states(6)


def grid(hidden: Hidden) -> tuple[Tensor, float]:
    """Hiddens (S, 2) and the log of the volume each stands for."""
    if hidden == "bernoulli":
        return states(HIDDEN), 0.0
    step = 0.02
    axis = torch.arange(-9, 9, step, dtype=torch.float64) + step / 2
    axis = axis[axis > 0] if hidden == "relu" else axis
    return torch.cartesian_prod(axis, axis), 2 * math.log(step)


@pytest.mark.parametrize("visible", ["softmax", "bernoulli", "gaussian"])
@pytest.mark.parametrize("hidden", ["bernoulli", "relu", "gaussian"])
def test_free_energies_and_means_are_those_of_the_joint_summed_out(
    visible: Visible, hidden: Hidden
) -> None:
    one = made(visible, hidden)
    every, volume = grid(hidden)
    for row in all_visibles(one)[:7] - (0.3 if visible == "gaussian" else 0):
        weight = -one.energy(row.expand(len(every), -1), every)
        slow = torch.logsumexp(weight, 0) + volume
        assert float(-one.free_energy(row[None])) == pytest.approx(float(slow), abs=2e-4)
        mean = torch.softmax(weight, 0) @ every
        assert torch.allclose(one.transform(row[None])[0], mean, atol=2e-4)


@pytest.mark.parametrize("hidden", ["bernoulli", "relu", "gaussian"])
def test_softmax_visibles_given_hiddens_are_the_joints_ratio(hidden: Hidden) -> None:
    one, every = made("softmax", hidden), one_hots()
    for on in (torch.tensor([[0.0, 1.0]]).double(), torch.tensor([[1.0, 0.0]]).double()):
        share = torch.softmax(-one.energy(every, on.expand(9, -1)), 0)
        assert torch.allclose(one.mean_visible(on)[0], share @ every, atol=1e-12)


@pytest.mark.parametrize("visible", ["softmax", "bernoulli"])
@pytest.mark.parametrize("hidden", ["bernoulli", "relu", "gaussian"])
def test_chains_visit_states_as_often_as_the_free_energy_says(
    visible: Visible, hidden: Hidden
) -> None:
    one = made(visible, hidden)
    every = all_visibles(one)
    share = torch.softmax(-one.free_energy(every), 0)
    drawn = one.sample(DRAWS, torch.Generator().manual_seed(1), sweeps=20)
    counts = (torch.cdist(drawn, every) < 0.1).double().sum(0)
    assert float(counts.sum()) == DRAWS
    chi = float(((counts - share * DRAWS) ** 2 / (share * DRAWS)).sum())
    degrees = len(every) - 1
    assert chi < degrees + 5 * math.sqrt(2 * degrees)


def test_a_factor_model_has_the_closed_form_of_its_gaussian() -> None:
    # v = b + W (c + e) + noise, with the hiddens' own coupling through v: precision
    # S^-1 - S^-1 W W' S^-1.
    one = made("gaussian", "gaussian")
    precision = one.precision()
    pushed = precision[:, None] * one.weight
    covariance = torch.linalg.inv(torch.diag(precision) - pushed @ pushed.T)
    mean = covariance @ (precision * one.vbias + pushed @ one.hbias)
    drawn = one.sample(DRAWS, torch.Generator().manual_seed(2), sweeps=30)
    error = torch.sqrt(covariance.diagonal() / DRAWS)
    assert ((drawn.mean(0) - mean).abs() < 4.5 * error).all()
    assert torch.allclose(torch.cov(drawn.T), covariance, atol=0.06)
    rows = drawn[:7]
    found = one.log_likelihood(rows, log_z_exact(one))
    assert torch.allclose(found, log_density(rows - mean, covariance), atol=1e-10)


def test_hiddens_of_rectified_machines_are_never_below_0_and_follow_the_cut_normal() -> None:
    for pull in (-35.0, -8.0, -1.0, 0.5, 6.0, 12.0):
        pulls = torch.full((20_011,), pull, dtype=torch.float64)
        drawn = positives_(pulls.clone(), torch.Generator().manual_seed(3))
        assert float(drawn.min()) >= 0
        # scipy's own is inexact beyond -30; the tail there is exponential of rate -pull.
        law = (
            truncnorm(-pull, math.inf, loc=pull).cdf
            if pull > -30
            else lambda x: 1 - norm.sf(x + 35) / norm.sf(35)
        )
        assert kstest(drawn.numpy(), law).pvalue > 1e-4, pull
        mean = mean_of_positives(pulls[:1])
        assert float(drawn.mean()) == pytest.approx(float(mean), rel=0.05)


def test_integrals_of_half_normals_stay_finite_far_out() -> None:
    # Log of the integral of exp(a h - h^2 / 2) is -log(-a) far below 0 and a^2 / 2 far above.
    far = torch.tensor([-1e6, -1e3, 0.0, 1e3], dtype=torch.float64)
    expected = [
        -math.log(1e6),
        -math.log(1e3),
        math.log(math.pi / 2) / 2,
        5e5 + math.log(2 * math.pi) / 2,
    ]
    assert log_normal_tail(far).tolist() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("visible", ["softmax", "bernoulli", "gaussian"])
@pytest.mark.parametrize("hidden", ["bernoulli", "relu", "gaussian"])
def test_annealing_reaches_the_exact_log_z_from_both_ends_and_from_the_datas_base(
    visible: Visible, hidden: Hidden
) -> None:
    one, generator = made(visible, hidden), torch.Generator().manual_seed(4)
    rows = one.sample(199, generator, sweeps=100)
    up = log_z_ais(one, generator, chains=199, betas=100, base=base_rates(one, rows))
    down = log_z_reverse_ais(one, rows, generator, betas=100, base=base_rates(one, rows))
    if (visible, hidden) == ("gaussian", "relu"):
        # No closed form: the hidden sum over a grid of the integrals over v.
        every, volume = grid("relu")
        exact = float(torch.logsumexp(hidden_log_weight(one, every), 0)) + volume
    else:
        exact = log_z_exact(one)
    assert up.value == pytest.approx(exact, abs=5 * up.se + 0.02)
    assert down.value == pytest.approx(exact, abs=5 * down.se + 0.02)


@pytest.mark.parametrize("hidden", ["bernoulli", "relu", "gaussian"])
def test_log_z_over_softmax_visibles_is_the_sum_over_their_states(hidden: Hidden) -> None:
    one = made("softmax", hidden)
    slow = torch.logsumexp(-one.free_energy(one_hots()), 0)
    assert log_z_exact(one) == pytest.approx(float(slow), abs=1e-10)


def test_a_density_without_finite_integral_is_refused() -> None:
    for hidden in ("relu", "gaussian"):
        one = RBM(3, 2, hidden=hidden)
        one.weight.fill_(1.0)
        with pytest.raises(ValueError, match="no finite integral"):
            log_z_exact(one)


def test_the_pseudo_likelihood_of_softmax_groups_is_that_of_each_given_the_other() -> None:
    one, rows = made("softmax", "relu"), one_hots()
    share = torch.softmax(-one.free_energy(rows), 0).view(CATEGORIES, CATEGORIES)
    slow = torch.log(share / share.sum(0)) + torch.log(share / share.sum(1, keepdim=True))
    found = pseudo_log_likelihood(one, rows)
    assert torch.allclose(found, slow.flatten(), atol=1e-10)
    assert torch.allclose(pseudo_log_likelihood_per_unit(one, rows), found / GROUPS)


def test_a_probability_counts_as_that_many_rows_of_1() -> None:
    one, row = made("bernoulli", "bernoulli"), torch.zeros(1, 6, dtype=torch.float64)
    low, high, half = row.clone(), row.clone(), row.clone()
    high[0, 2], half[0, 2] = 1.0, 0.5
    # Of the unit itself the mean of both; the others see a half.
    own = float(torch.log_softmax(-one.free_energy(torch.cat([low, high])), 0).mean())
    others = 0.0
    for unit in (0, 1, 3, 4, 5):
        pair = half.repeat(2, 1)
        pair[1, unit] = 1.0
        others += float(torch.log_softmax(-one.free_energy(pair), 0)[0])
    assert float(pseudo_log_likelihood(one, half)) == pytest.approx(own + others, abs=1e-10)


def test_groups_are_observed_whole_and_stay() -> None:
    one, rows = made("softmax", "bernoulli"), one_hots()[[5]].repeat(DRAWS, 1)
    observed = torch.tensor([True] * 3 + [False] * 3)
    drawn = one.sample_conditional(rows, observed, torch.Generator().manual_seed(5), steps=20)
    assert torch.equal(drawn[:, :3], rows[:, :3])
    share = torch.softmax(-one.free_energy(one_hots()[3:6]), 0)  # the first group's second choice
    assert torch.allclose(drawn[:, 3:].mean(0), share, atol=5 * 0.5 / math.sqrt(DRAWS))
    with pytest.raises(ValueError, match="whole or not at all"):
        one.sample_conditional(rows, torch.arange(6) < 2, torch.Generator(), 1)


def test_one_of_each_group_is_chosen_as_often_as_asked() -> None:
    wanted = torch.tensor([0.2, 0.5, 0.3, 0.0, 1.0, 0.0], dtype=torch.float64)
    drawn = one_hots_(wanted.expand(DRAWS, -1).clone(), 3, torch.Generator().manual_seed(8))
    assert torch.equal(drawn.view(-1, 2, 3).sum(-1), torch.ones(DRAWS, 2).double())
    assert torch.allclose(drawn.mean(0), wanted, atol=5 * 0.5 / math.sqrt(DRAWS))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"visible": "softmax"}, "groups of 2 categories or more"),
        ({"visible": "bernoulli", "categories": 3}, "other kinds of 0"),
        ({"visible": "softmax", "categories": 4}, "6 columns do not make groups of 4"),
        ({"hidden": "sigmoid"}, "bernoulli, relu or gaussian, not 'sigmoid'"),
    ],
)
def test_kinds_that_do_not_exist_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RBM(6, 2, **arguments)


def test_a_machine_is_built_again_from_what_it_says_of_itself() -> None:
    one = made("softmax", "relu").float()
    again = RBM.of(one.architecture())
    again.load_state_dict(one.state_dict())
    assert torch.equal(again.free_energy(one_hots()), one.free_energy(one_hots()))
    assert again.architecture() == one.architecture()
