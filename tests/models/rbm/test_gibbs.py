"""Sampling visits states as often as the machine's own distribution says.

A sampler may be wrong though energies are right: peers' Gaussian ones have 57 times the variance,
or moments of another energy.
"""

import math

import pytest
import torch
from scipy.stats import chi2  # type: ignore[import-untyped]
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.partition import hidden_log_weight
from models.rbm.units import Visible
from tests.machines import HIDDEN, VISIBLE, machine, states

CHAINS = 40_009


def distribution(made: RBM) -> Tensor:
    return torch.softmax(-made.free_energy(states(VISIBLE)), 0)


def kernel(made: RBM) -> Tensor:
    """Probability (2^V, 2^V) of a sweep from one visible state to another, hiddens summed."""
    every, hidden = states(VISIBLE), states(HIDDEN)
    up = made.transform(every)  # (2^V, H)
    on = made.mean_visible(hidden)  # (2^H, V)
    to_hidden = torch.exp(torch.log(up) @ hidden.T + torch.log1p(-up) @ (1 - hidden).T)
    to_visible = torch.exp(torch.log(on) @ every.T + torch.log1p(-on) @ (1 - every).T)
    return to_hidden @ to_visible


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sweep_is_in_detailed_balance_with_the_free_energy(seed: int) -> None:
    made = machine("bernoulli", seed=seed)
    moves, share = kernel(made), distribution(made)
    assert torch.allclose(moves.sum(1), torch.ones(len(share)).double(), atol=1e-12)
    flow = share[:, None] * moves
    assert torch.allclose(flow, flow.T, rtol=0, atol=1e-15)
    assert torch.allclose(share @ moves, share, rtol=0, atol=1e-14)


def chi_square(drawn: Tensor, share: Tensor) -> float:
    """The probability of counts as far from `share` as those of these binary rows."""
    codes = (drawn @ (2.0 ** torch.arange(VISIBLE - 1, -1, -1)).double()).long()
    counts = torch.bincount(codes, minlength=len(share))
    expected = share * len(drawn)
    return float(chi2.sf(float(((counts - expected) ** 2 / expected).sum()), len(share) - 1))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_chains_started_in_equilibrium_stay_there(seed: int) -> None:
    made, generator = machine("bernoulli", seed=seed), torch.Generator().manual_seed(seed)
    share = distribution(made)
    start = states(VISIBLE)[torch.multinomial(share, CHAINS, True, generator=generator)]
    assert chi_square(made.gibbs_step(start, generator, 7), share) > 1e-4


def test_one_sweep_from_one_state_goes_where_the_kernel_says() -> None:
    made = machine("bernoulli")
    start = states(VISIBLE)[11].expand(CHAINS, -1)
    drawn = made.gibbs_step(start, torch.Generator().manual_seed(3))
    assert chi_square(drawn, kernel(made)[11]) > 1e-4
    assert chi_square(drawn, kernel(made)[12]) < 1e-9  # the test can tell


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("seed", [0, 1])
def test_chains_settle_at_the_mixtures_mean_and_covariance(visible: Visible, seed: int) -> None:
    made, every = machine(visible, seed=seed), states(HIDDEN)
    share = torch.softmax(hidden_log_weight(made, every), 0)
    means = made.mean_visible(every)
    mean = share @ means
    inner = torch.exp(made.log_var) if visible == "gaussian" else share @ (means * (1 - means))
    spread = (means - mean).T @ (share[:, None] * (means - mean)) + torch.diag(inner)
    start = torch.zeros(CHAINS, VISIBLE, dtype=torch.float64)
    drawn = made.gibbs_step(start, torch.Generator().manual_seed(seed), 50)
    error = torch.sqrt(spread.diagonal() / CHAINS)
    assert ((drawn.mean(0) - mean).abs() < 4 * error).all()
    scale = torch.sqrt(torch.outer(spread.diagonal(), spread.diagonal()))
    assert ((torch.cov(drawn.T) - spread).abs() < 0.03 * scale).all()


def test_clamped_sampling_of_a_gaussian_machine_follows_its_conditional() -> None:
    # Of a mixture of diagonal Gaussians with common variances, p(h | observed) reweights by the
    # observed columns, and the others' mean is that of the components.
    made = machine("gaussian")
    observed = torch.tensor([True, False, True, False, False])
    row = torch.tensor([0.7, 9.0, -1.1, 9.0, 9.0], dtype=torch.float64)
    every = states(HIDDEN)
    means, variance = made.mean_visible(every), torch.exp(made.log_var)
    seen = -((row - means) ** 2 / variance)[:, observed].sum(1) / 2
    share = torch.softmax(hidden_log_weight(made, every) + seen, 0)
    expected = (share @ means)[~observed]
    drawn = made.sample_conditional(
        row.expand(CHAINS, -1), observed, torch.Generator().manual_seed(1), steps=30
    )
    assert bool((drawn[:, observed] == row[observed]).all())
    error = drawn[:, ~observed].std(0) / math.sqrt(CHAINS)
    assert ((drawn[:, ~observed].mean(0) - expected).abs() < 4.5 * error).all()
