"""A stack samples and bounds the distribution that its machines make together, enumerated here."""

import pytest
import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.partition import log_z_exact
from models.rbm.stack import Stack
from tests.machines import HIDDEN, VISIBLE, machine, states

TOP = 2


def stacked() -> Stack:
    """A machine of 5 x 3 under one of 3 x 2, both far from trivial."""
    generator = torch.Generator().manual_seed(3)
    top = RBM(HIDDEN, TOP, "bernoulli")
    for name in ("weight", "vbias", "hbias"):
        value = getattr(top, name)
        value.copy_(torch.randn(value.shape, generator=generator, dtype=torch.float64))
    return Stack([machine("bernoulli"), top])


def distribution(made: Stack) -> Tensor:
    """Log p of every visible state, (2^V,): the sum over h of p(v | h) p_top(h)."""
    low, top = made.machines
    every, hidden = states(VISIBLE), states(HIDDEN)
    prior = top.log_likelihood(hidden, log_z_exact(top))
    on = low.mean_visible(hidden)  # (2^H, V)
    given = torch.log(on) @ every.T + torch.log1p(-on) @ (1 - every).T  # (2^H, 2^V)
    return torch.logsumexp(prior[:, None] + given, 0)


def test_samples_are_as_frequent_as_the_stacks_own_distribution_says() -> None:
    made = stacked()
    drawn = made.sample(20_011, torch.Generator().manual_seed(0), sweeps=50)
    codes = (drawn @ (2.0 ** torch.arange(VISIBLE - 1, -1, -1)).double()).long()
    counts = torch.bincount(codes, minlength=2**VISIBLE)
    expected = torch.exp(distribution(made)) * 20_011
    assert float(((counts - expected) ** 2 / expected).sum()) < 75  # 31 degrees: p = 2e-5


def test_the_bound_lies_below_the_likelihood_by_what_q_is_off() -> None:
    made, every = stacked(), states(VISIBLE)
    low, top = made.machines
    hidden = states(HIDDEN)
    share = low.transform(every)
    q = torch.log(share) @ hidden.T + torch.log1p(-share) @ (1 - hidden).T  # (2^V, 2^H)
    on = low.mean_visible(hidden)
    given = (torch.log(on) @ every.T + torch.log1p(-on) @ (1 - every).T).T
    prior = top.log_likelihood(hidden, log_z_exact(top))
    exact = (q.exp() * (given + prior - q)).sum(1)
    generator = torch.Generator().manual_seed(0)
    found = made.lower_bound(every, log_z_exact(top), generator, draws=4001)
    assert torch.allclose(found, exact, atol=0.1)
    assert (exact <= distribution(made) + 1e-12).all()


def test_a_top_that_mirrors_the_machine_below_changes_nothing() -> None:
    # With weights transposed the top's marginal over its visibles is that of the hiddens below, and
    # the bound is the likelihood (Hinton, Osindero and Teh 2006).
    low = machine("bernoulli")
    top = RBM(HIDDEN, VISIBLE, "bernoulli")
    top.weight.copy_(low.weight.T)
    top.vbias.copy_(low.hbias)
    top.hbias.copy_(low.vbias)
    made, every = Stack([low, top]), states(VISIBLE)
    whole = low.log_likelihood(every, log_z_exact(low))
    assert torch.allclose(distribution(made), whole, atol=1e-10)
    once = made.lower_bound(every, log_z_exact(top), torch.Generator().manual_seed(1))
    assert torch.allclose(once, whole, atol=1e-10)


def test_means_go_up_layer_by_layer() -> None:
    made, rows = stacked(), states(VISIBLE)
    low, top = made.machines
    assert torch.equal(made.transform(rows), top.transform(low.transform(rows)))
    up = made.up(rows.repeat(301, 1), torch.Generator().manual_seed(2))
    assert up.shape == (32 * 301, HIDDEN)
    assert float((up.view(301, 32, HIDDEN).mean(0) - low.transform(rows)).abs().max()) < 0.12


@pytest.mark.parametrize(
    ("machines", "said"),
    [
        ([], "1 machine or more"),
        ([RBM(5, 3, "bernoulli"), RBM(2, 2, "bernoulli")], "3 hidden units is under one of 2"),
        ([RBM(5, 3, "bernoulli"), RBM(3, 2, "gaussian")], "in bernoulli and gaussian"),
        ([RBM(5, 3, hidden="relu"), RBM(3, 2, "bernoulli")], "in relu and bernoulli"),
    ],
)
def test_machines_that_do_not_fit_are_refused(machines: list[RBM], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Stack(machines)
