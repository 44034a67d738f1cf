"""Persistent and tempered chains sample the machine they belong to, whatever the batch."""

import math

import pytest
import torch
from scipy.stats import chi2  # type: ignore[import-untyped]
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.sampling import Chains, walk
from tests.machines import VISIBLE, machine, states

CHAINS = 10_007


def surprise(drawn: Tensor, made: RBM) -> float:
    """The probability of counts as far from the machine's distribution as those of these rows."""
    share = torch.softmax(-made.double().free_energy(states(VISIBLE)), 0)
    codes = (drawn.double() @ (2.0 ** torch.arange(VISIBLE - 1, -1, -1)).double()).long()
    counts = torch.bincount(codes, minlength=len(share))
    expected = share * len(drawn)
    return float(chi2.sf(float(((counts - expected) ** 2 / expected).sum()), len(share) - 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperatures", [1, 4])
def test_chains_settle_at_the_machines_distribution(dtype: torch.dtype, temperatures: int) -> None:
    made, generator = machine("bernoulli").to(dtype), torch.Generator().manual_seed(0)
    base = torch.full((VISIBLE,), 0.2, dtype=dtype)
    chains = Chains(torch.zeros(CHAINS, VISIBLE, dtype=dtype), base, temperatures)
    for _ in range(15):
        rows, hidden = chains.advance(made, generator, 2)
    assert torch.equal(rows, chains.coldest)
    assert torch.allclose(hidden, made.transform(rows), atol=1e-6)
    assert surprise(rows, made) > 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sweeps_of_few_rows_and_of_many_sample_alike(dtype: torch.dtype) -> None:
    # Rows sweep together in pieces; the last one is short.
    made, generator = machine("bernoulli").to(dtype), torch.Generator().manual_seed(1)
    start = torch.zeros(CHAINS, VISIBLE, dtype=dtype)
    assert surprise(made.gibbs_step(start, generator, 30), made) > 1e-4
    few = [made.gibbs_step(start[:13].to(dtype), generator, 30) for _ in range(400)]
    assert surprise(torch.cat(few), made) > 1e-4


def two_modes(depth: float) -> RBM:
    """Nine units that are all on or all off, as often as not; a deep machine's chains stay."""
    made = RBM(9, 1, "bernoulli", dtype=torch.float32)
    made.weight.fill_(depth)
    made.vbias.fill_(-depth / 2)
    made.hbias.fill_(-9 * depth / 2)
    return made


def test_temperatures_carry_chains_between_modes_that_a_single_one_cannot_leave() -> None:
    made = two_modes(12.0)
    found = {}
    for temperatures in (1, 8):
        chains = Chains(torch.zeros(199, 9), torch.zeros(9), temperatures)
        generator = torch.Generator().manual_seed(2)
        for _ in range(200):
            rows, _ = chains.advance(made, generator, 1)
        found[temperatures] = float(rows.mean())
    assert found[1] < 0.05
    assert 0.3 < found[8] < 0.7


def test_exchanges_between_equal_machines_are_always_taken() -> None:
    made = machine("bernoulli")
    made.weight.zero_()
    made.hbias.zero_()
    chains = Chains(torch.zeros(31, VISIBLE, dtype=torch.float64), made.vbias, 3)
    for _ in range(200):
        chains.advance(made, torch.Generator().manual_seed(3), 1)
    assert chains.rounds == 200
    assert chains.exchanges.tolist() == pytest.approx([1.0, 1.0], abs=1e-2)


@pytest.mark.parametrize("sweeps", [1, 3])
def test_a_gaussian_walk_ends_where_the_mixture_says(sweeps: int) -> None:
    # h -> v once is N(b + W h, S); it pulls the hiddens by c + W' S^-1 v.
    made, generator = machine("gaussian"), torch.Generator().manual_seed(4)
    hidden = torch.tensor([[1.0, 0.0, 1.0]], dtype=torch.float64).repeat(CHAINS, 1)
    visible, pull = walk(made, hidden, generator, sweeps)
    assert torch.allclose(pull, made.hbias + made.field(visible), atol=1e-10)
    if sweeps == 1:
        mean = made.mean_visible(hidden[:1])[0]
        deviation = torch.exp(made.log_var / 2)
        assert ((visible.mean(0) - mean).abs() < 4.5 * deviation / math.sqrt(CHAINS)).all()
        assert torch.allclose(visible.std(0), deviation, rtol=0.04)
    assert torch.equal(hidden[0], torch.tensor([1.0, 0.0, 1.0]).double())  # left as it was
