"""Updates learn what a machine can represent, resume bit for bit, and tell when they go wrong."""

import math

import pytest
import torch
from torch import Tensor

from models.rbm.gradient import Phase, gradients
from models.rbm.machine import RBM
from models.rbm.partition import log_z_exact
from models.rbm.pseudo_likelihood import pseudo_log_likelihood
from models.rbm.settings import Training
from models.rbm.training import Learner
from models.rbm.units import Visible
from models.rbm.whitening import fit_whitener
from tests.machines import VISIBLE, machine, states

BITS = torch.tensor([[r >> 2 & 1, r >> 1 & 1, r & 1] for r in range(8)], dtype=torch.float64)


def learner(made: RBM, chains: int = 13, **how: object) -> Learner:
    generator = torch.Generator().manual_seed(0)
    start = torch.zeros(chains, made.n_visible, dtype=torch.float64)
    return Learner(made, start, generator, Training(**how))  # type: ignore[arg-type]


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_a_restored_learner_goes_on_bit_for_bit(visible: Visible) -> None:
    rows = torch.randn(23, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    rows = (rows > 0).double() if visible == "bernoulli" else rows
    straight = learner(machine(visible))
    for _ in range(10):
        straight.update(rows, 0.01)
    broken = learner(machine(visible))
    for _ in range(4):
        broken.update(rows, 0.01)
    resumed = learner(machine(visible, seed=99))
    resumed.restore(broken.state())
    for _ in range(6):
        resumed.update(rows, 0.01)
    for name, value in straight.state().items():
        assert torch.equal(value, resumed.state()[name]), name


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


def test_bars_and_stripes_are_learnt_and_not_unlearnt() -> None:
    # The entropy of the 16 rows is 2.5993. A constant rate, or the wrong divisor, ends below -4.
    rows = bars_and_stripes()
    made, generator = RBM(9, 16, "bernoulli"), torch.Generator().manual_seed(0)
    made.initialise(rows, generator)
    chains = (torch.rand(500, 9, generator=generator) < 0.5).double()
    taught = Learner(made, chains, generator, Training.of("bernoulli", weight_decay=0.0))
    seen = []
    for step in range(3000):
        taught.update(rows, 0.25 * (1 - 0.98 * step / 3000))
        if step % 100 == 99:
            seen.append(float(made.log_likelihood(rows, log_z_exact(made)).mean()))
    assert seen[0] < -5  # nine coins: -6.24
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


def test_plain_cd_starts_from_the_data_and_leaves_the_chains_alone() -> None:
    made = machine("gaussian")
    taught = learner(made, method="cd")
    rows = torch.randn(7, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    before = taught.chains.clone()
    taught.update(rows, 0.01)
    assert torch.equal(taught.chains, before)


def test_an_update_of_ascent_moves_each_parameter_along_its_gradient() -> None:
    made, before = machine("gaussian"), machine("gaussian")
    rows = torch.randn(7, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    taught, same = (learner(one, optimiser="sgd", weight_decay=0.0) for one in (made, before))
    sampled = Phase(*same.walkers.advance(before, same.generator, 5))
    direction = gradients(before, Phase(rows, before.transform(rows)), sampled)
    norm = taught.update(rows, 0.01)
    assert norm == pytest.approx(math.sqrt(sum(float((d**2).sum()) for d in direction.values())))
    for name, rate in (("weight", 0.01), ("vbias", 0.01), ("hbias", 0.01), ("log_var", 0.001)):
        moved = getattr(made, name) - getattr(before, name)
        assert torch.allclose(moved, rate * direction[name], atol=1e-14), name


def test_a_gradient_longer_than_ten_is_shortened_to_ten() -> None:
    made, before = machine("gaussian"), machine("gaussian")
    rows = torch.full((3, VISIBLE), 100.0, dtype=torch.float64)
    taught = learner(made, optimiser="sgd", learn_variance=False)
    assert taught.update(rows, 0.01) > 100
    moved = [getattr(made, n) - getattr(before, n) for n in ("weight", "vbias", "hbias")]
    assert math.sqrt(sum(float((m**2).sum()) for m in moved)) == pytest.approx(0.1)


def test_weight_decay_pulls_at_the_weights_alone() -> None:
    made = machine("gaussian")
    rows = torch.randn(7, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    free, pulled = machine("gaussian"), machine("gaussian")
    for one, decay in ((free, 0.0), (pulled, 0.3)):
        learner(one, optimiser="sgd", weight_decay=decay).update(rows, 0.01)
    assert torch.allclose(pulled.weight, free.weight - 0.003 * made.weight, atol=1e-14)
    for name in ("vbias", "hbias", "log_var"):
        assert torch.equal(getattr(pulled, name), getattr(free, name)), name


def test_variances_that_are_not_learnt_stay() -> None:
    made, before = machine("gaussian"), machine("gaussian")
    taught = learner(made, learn_variance=False)
    taught.update(torch.ones(3, VISIBLE, dtype=torch.float64), 0.01)
    assert torch.equal(made.log_var, before.log_var)
    assert not torch.equal(made.weight, before.weight)


def test_trouble_is_told_by_its_cause_and_a_sound_machine_has_none() -> None:
    rows = torch.randn(7, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    sound = learner(machine("gaussian"))
    assert sound.trouble(sound.update(rows, 0.01)) == ""
    assert sound.trouble(math.nan) == "gradient norm nan"
    for value, said in ((-1e3, "all hidden units off"), (1e3, "all hidden units on")):
        taught = learner(machine("gaussian"))
        taught.machine.hbias.fill_(value)
        assert taught.trouble(1.0) == said
    for value in (-5.0, 3.0):
        taught = learner(machine("gaussian"))
        taught.machine.log_var[2] = value
        assert taught.trouble(1.0) == "1 of 5 variances at the end of their range"
    taught = learner(machine("gaussian"))
    taught.machine.vbias[0] = math.inf
    assert taught.trouble(1.0) == "parameters that are not finite"


def test_adam_takes_the_steps_of_torchs() -> None:
    made, other = machine("gaussian"), machine("gaussian")
    rows = torch.randn(7, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    taught, same = learner(made, weight_decay=0.0), learner(other)
    named = {"weight": 0.01, "vbias": 0.01, "hbias": 0.01, "log_var": 0.001}
    groups = [{"params": [getattr(other, name)], "lr": rate} for name, rate in named.items()]
    reference = torch.optim.Adam(groups, maximize=True)
    for _ in range(5):
        taught.update(rows, 0.01)
        sampled = Phase(*same.walkers.advance(other, same.generator, 5))
        direction = gradients(other, Phase(rows, other.transform(rows)), sampled)
        for name in named:
            getattr(other, name).grad = direction[name]
        reference.step()
        for name in named:
            assert torch.allclose(getattr(made, name), getattr(other, name), atol=1e-12), name
