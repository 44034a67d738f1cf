"""Machines of every kind learn what they can represent, and do not unlearn it."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.partition import log_z_exact
from models.rbm.pseudo_likelihood import pseudo_log_likelihood
from models.rbm.settings import Method, Training
from models.rbm.training import Learner
from models.rbm.units import Hidden, Visible
from models.rbm.whitening import fit_whitener
from tests.machines import VISIBLE, states

BITS = torch.tensor([[r >> 2 & 1, r >> 1 & 1, r & 1] for r in range(8)], dtype=torch.float64)


def learner(made: RBM, chains: int = 13, **how: Any) -> Learner:
    generator = torch.Generator().manual_seed(0)
    start = torch.zeros(chains, made.n_visible, dtype=torch.float64)
    return Learner(made, start, generator, Training(**how))


def test_a_binary_machine_learns_a_distribution_it_can_represent() -> None:
    # Two bits that always agree and a coin: entropy 2 ln 2.
    rows = BITS[BITS[:, 0] == BITS[:, 1]].repeat(16, 1)
    made = RBM(3, 4, "bernoulli")
    made.initialise(rows, torch.Generator().manual_seed(0))
    taught = learner(made, chains=512, k=1, weight_decay=0.0)
    before = float(made.log_likelihood(rows, log_z_exact(made)).mean())
    for step in range(1500):
        taught.update(rows, 0.01 * (1 - step / 1550))
    after = float(made.log_likelihood(rows, log_z_exact(made)).mean())
    assert before < -1.9  # three coins
    assert after > -2 * math.log(2) - 0.1


def bars_and_stripes() -> Tensor:
    """3 x 3 pictures whose columns, or rows, are all on or all off, (16, 9): 14 distinct."""
    lines = [line.repeat(3, 1) for line in states(3)]
    return torch.stack([way.flatten() for line in lines for way in (line, line.T)])


@pytest.mark.slow
def test_bars_and_stripes_are_learnt_by_the_defaults_and_not_unlearnt() -> None:
    # The entropy of the 16 rows is 2.5993. A constant rate, or the wrong divisor, ends below -4.
    rows = bars_and_stripes().float()
    made = RBM(9, 16, "bernoulli", dtype=torch.float32)
    taught = Learner.begin(made, rows, Training.of("bernoulli", updates=4000), seed=0)
    seen = []
    for step in range(4000):
        taught.partial_fit(rows)
        if step % 200 == 199:
            seen.append(float(made.log_likelihood(rows, log_z_exact(made)).mean()))
    assert seen[0] < -4.5  # nine coins: -6.24
    assert -2.75 < seen[-1] < -2.5993
    assert all(ll > max(seen[: at + 1]) - 0.3 for at, ll in enumerate(seen))
    # Of each bit given the others there is less to say than of all of them at once.
    assert float(pseudo_log_likelihood(made, rows).mean()) > seen[-1]


def test_a_gaussian_machine_finds_what_the_full_gaussian_cannot() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(8, 6, generator=generator).double()
    chosen = torch.randint(0, 8, (2003,), generator=generator)
    rows = centres[chosen] + 0.25 * torch.randn(2003, 6, generator=generator).double()
    white = fit_whitener([rows], 3).transform(rows)
    made = RBM(6, 12)
    made.initialise(white, torch.Generator().manual_seed(1))
    taught = Learner(made, white[:128].clone(), torch.Generator().manual_seed(2), Training())
    for step in range(1200):
        at = torch.randint(len(white), (128,), generator=generator)
        taught.update(white[at], 0.01 * (1 - step / 1260))
    ours = float(made.log_likelihood(white, log_z_exact(made)).mean())
    gaussian = -3 * (1 + math.log(2 * math.pi))  # of white rows: their mean square is 6
    assert ours > gaussian + 0.5


def test_sparse_hiddens_are_as_active_as_asked() -> None:
    rows = torch.randn(211, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    active = {}
    for cost in (0.0, 3.0):
        how = Training(updates=600, chains=31, k=1, sparsity_target=0.3, sparsity_cost=cost)
        taught = Learner.begin(RBM(VISIBLE, 4), rows, how, seed=2)
        for _ in range(600):
            taught.partial_fit(rows)
        active[cost] = taught.machine.transform(rows).mean(0)
    assert float((active[3.0] - 0.3).abs().max()) < 0.05
    assert float((active[0.0] - 0.3).abs().max()) > 0.1


@pytest.mark.parametrize("method", ["cd", "pcd", "pt"])
@pytest.mark.parametrize(
    ("visible", "hidden", "gain"),
    [("softmax", "bernoulli", 0.5), ("softmax", "relu", 0.5), ("gaussian", "gaussian", 0.3)],
)
def test_other_kinds_of_machines_learn_too(
    method: Method, visible: Visible, hidden: Hidden, gain: float
) -> None:
    generator = torch.Generator().manual_seed(1)
    if visible == "softmax":  # two groups of three that always agree
        rows = torch.eye(3)[torch.randint(3, (211,), generator=generator)].repeat(1, 2).double()
        made = RBM(6, 4, visible, hidden, categories=3)
    else:  # three columns around one factor
        factor = torch.randn(211, 1, generator=generator).double()
        rows = factor + 0.5 * torch.randn(211, 3, generator=generator).double()
        made = RBM(3, 1, visible, hidden)
    how = Training.of(visible, method=method, k=3, chains=101, temperatures=4, updates=700)
    taught = Learner.begin(made, rows, how, seed=3)
    before = float(made.log_likelihood(rows, log_z_exact(made)).mean())
    for _ in range(700):
        norm = taught.partial_fit(rows).grad_norm
    after = float(made.log_likelihood(rows, log_z_exact(made)).mean())
    assert after > before + gain
    assert taught.trouble(norm) == ""


def test_fewer_rows_than_chains_and_one_row_at_the_end_do_no_harm() -> None:
    # 1601 rows in batches of 100: sklearn's last batch of 1 takes it from -5 to -13 nats.
    rows = bars_and_stripes().float().repeat(100, 1)
    rows = torch.cat([rows, rows[:1]])
    made = RBM(9, 12, "bernoulli", dtype=torch.float32)
    taught = Learner.begin(made, rows, Training.of("bernoulli", chains=100, k=1, updates=340))
    generator = torch.Generator().manual_seed(4)
    for _ in range(20):
        for batch in torch.split(rows[torch.randperm(len(rows), generator=generator)], 100):
            taught.partial_fit(batch)
    assert float(made.log_likelihood(rows, log_z_exact(made)).mean()) > -6.0  # nine coins: -6.24
