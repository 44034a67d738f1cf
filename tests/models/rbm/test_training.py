"""Updates step along the gradient, resume bit for bit, and tell when they go wrong."""

import json
import math
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from models.rbm.gradient import Phase, gradients
from models.rbm.machine import RBM
from models.rbm.settings import Training
from models.rbm.training import Learner
from models.rbm.units import Visible
from tests.machines import VISIBLE, machine


def learner(made: RBM, chains: int = 13, **how: Any) -> Learner:
    generator = torch.Generator().manual_seed(0)
    start = torch.zeros(chains, made.n_visible, dtype=torch.float64)
    return Learner(made, start, generator, Training(**how))


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
@pytest.mark.parametrize(
    "how",
    [
        {"method": "cd"},
        {"method": "pt", "temperatures": 3},
        {"optimiser": "sgd", "momentum": 0.5, "sparsity_cost": 0.1, "centring": True},
        {"optimiser": "adam", "on_bad": "drop"},
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fifty_updates_and_fifty_more_after_a_resume_are_a_hundred(
    visible: Visible, how: dict[str, Any], dtype: torch.dtype
) -> None:
    rows = torch.randn(97, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    rows = (rows > 0).double() if visible == "bernoulli" else rows
    settings = Training.of(visible, chains=13, k=1, updates=100, **how)

    def fitted(taught: Learner, first: int, last: int) -> Learner:
        for step in range(first, last):
            taught.partial_fit(rows[step % 5 * 20 : step % 5 * 20 + 20])  # the last has 17
        return taught

    def begun() -> Learner:
        return Learner.begin(RBM(VISIBLE, 3, visible, dtype=dtype), rows, settings, seed=5)

    straight = fitted(begun(), 0, 100)
    half = fitted(begun(), 0, 50)
    card = json.loads(json.dumps(half.card()))
    resumed = fitted(Learner.resume(load(save(half.state())), card), 50, 100)
    assert resumed.card() == straight.card()
    assert resumed.state().keys() == straight.state().keys()
    for name, value in straight.state().items():
        assert torch.equal(value, resumed.state()[name]), name


def test_a_state_of_another_machine_or_device_is_refused() -> None:
    taught, other = learner(machine("gaussian")), learner(machine("gaussian", n_hidden=4))
    with pytest.raises(ValueError, match="the state is of another machine"):
        other.restore(taught.state())
    with pytest.raises(ValueError, match="begun on cuda"):
        Learner.resume(taught.state(), taught.card() | {"device": "cuda"})


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


def test_momentum_carries_half_of_each_step_into_the_next() -> None:
    made, before = machine("gaussian"), machine("gaussian")
    rows = torch.randn(7, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    how: dict[str, Any] = {"optimiser": "sgd", "weight_decay": 0.0}
    taught, same = learner(made, momentum=0.5, **how), learner(before, **how)
    velocity = torch.zeros_like(made.weight)
    for _ in range(3):
        held = made.weight.clone()
        for name in ("weight", "vbias", "hbias", "log_var"):
            getattr(before, name).copy_(getattr(made, name))
        taught.update(rows, 0.01)
        same.update(rows, 0.01)  # the same chains and draws: its step is the gradient's
        velocity = 0.5 * velocity + (before.weight - held) / 0.01
        assert torch.allclose(made.weight, held + 0.01 * velocity, atol=1e-12)


def test_the_rate_falls_to_its_share_and_stays_there() -> None:
    how = Training(learning_rate=0.2, final_share=0.1, updates=4)
    assert [how.rate_at(n) for n in (0, 2, 4, 9)] == pytest.approx([0.2, 0.11, 0.02, 0.02])
    taught = learner(machine("gaussian"), learning_rate=0.2, final_share=0.1, updates=4)
    rows = torch.randn(7, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    steps = [taught.partial_fit(rows) for _ in range(3)]
    assert [s.update for s in steps] == [1, 2, 3]
    assert [s.learning_rate for s in steps] == pytest.approx([0.2, 0.155, 0.11])
    assert all(0 < s.update_ratio < 1 for s in steps)


def test_weights_that_leave_no_finite_integral_are_told() -> None:
    made = RBM(VISIBLE, 3, hidden="gaussian")
    made.weight.fill_(1.0)
    assert "finite integral" in learner(made).trouble(1.0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"k": 0}, "k is above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is above 0 and finite, not nan"),
        ({"method": "rdm"}, "method is one of"),
        ({"momentum": 1.0, "optimiser": "sgd"}, "momentum lies from 0 up to 1"),
        ({"momentum": 0.5}, "momentum is of optimiser sgd"),
        ({"method": "pt", "temperatures": 1}, "2 temperatures or more"),
        ({"final_share": 0.0}, "final_share lies above 0"),
        ({"weight_decay": -1.0}, "weight_decay is 0 or more and finite"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Training(**wrong)


def test_bernoulli_machines_ascend_in_centred_coordinates_by_default() -> None:
    how = Training.of("bernoulli", k=7)
    assert (how.method, how.optimiser, how.centring, how.k) == ("pcd", "sgd", True, 7)
    assert Training.of("gaussian") == Training()
