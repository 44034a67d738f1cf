"""A machine that is asked what it cannot answer says so in one line, and never answers amiss."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from models.rbm.annealing import crowded, log_z_ais, log_z_reverse_ais
from models.rbm.machine import RBM
from models.rbm.pseudo_likelihood import pseudo_log_likelihood

VISIBLE, HIDDEN, ROWS = 6, 5, 7
MACHINE, GROUPED = RBM(VISIBLE, HIDDEN, "bernoulli"), RBM(VISIBLE, HIDDEN, "softmax", categories=3)
V, H = torch.zeros(ROWS, VISIBLE), torch.zeros(ROWS, HIDDEN)
DRAWS = torch.Generator()


def clamped(observed: Tensor, machine: RBM = MACHINE) -> Tensor:
    return machine.sample_conditional(V, observed, DRAWS, 2)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda: MACHINE.energy(V, H[:, :2]), "hidden is (N, 5), not (7, 2)"),
        (lambda: MACHINE.mean_visible(H[0]), "hidden is (N, 5), not (5,)"),
        (lambda: MACHINE.sample_visible(V, DRAWS), "hidden is (N, 5), not (7, 6)"),
        (lambda: MACHINE.sample(-1, DRAWS), "0 rows or more are drawn, not -1"),
        (lambda: pseudo_log_likelihood(MACHINE, H), "visible has 5 units, this machine has 6"),
        (lambda: clamped(torch.ones(3).bool()), "observed is bool (6,), not (3,)"),
        (lambda: clamped(torch.ones(3).bool(), GROUPED), "observed is bool (6,), not (3,)"),
        (lambda: clamped(torch.ones(ROWS, 6).bool()), "observed is bool (6,), not (7, 6)"),
        (lambda: clamped(torch.ones(6)), "not (6,) of torch.float32"),
        (lambda: log_z_ais(MACHINE, DRAWS, chains=0), "1 chain or more, not 0"),
        (lambda: log_z_ais(MACHINE, DRAWS, betas=0), "1 step or more, not 0"),
        (lambda: log_z_ais(MACHINE, DRAWS, betas=torch.tensor([0, 0.5])), "from 0 to 1"),
        (lambda: log_z_ais(MACHINE, DRAWS, betas=torch.tensor([0, 0.7, 0.5, 1])), "from 0 to 1"),
        (lambda: log_z_ais(MACHINE, DRAWS, betas=torch.tensor([0.1, 1])), "from 0 to 1"),
        (lambda: crowded(2), "3 steps or more, not 2"),
        (lambda: log_z_ais(MACHINE, DRAWS, base=torch.zeros(3)), "biases (6,), not (3,)"),
        (lambda: log_z_reverse_ais(MACHINE, V[:0], DRAWS), "1 row or more"),
        (lambda: log_z_reverse_ais(MACHINE, H, DRAWS), "visible has 5 units"),
        (lambda: log_z_reverse_ais(MACHINE, V, DRAWS, betas=torch.ones(1)), "from 0 to 1"),
    ],
)
def test_what_cannot_be_answered_is_refused(asked: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # what it says is seen below
        asked()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("steps", [3, 4, 7, 19, 20, 21, 1000])
def test_a_crowded_ladder_goes_from_0_to_1_however_short(steps: int) -> None:
    ladder = crowded(steps)
    assert len(ladder) == steps + 1
    assert (float(ladder[0]), float(ladder[-1])) == (0, 1)
    assert bool((ladder.diff() > 0).all())
    assert float(ladder[ladder <= 0.5][-1]) == 0.5


def test_hiddens_of_another_dtype_are_taken() -> None:
    machine = RBM(VISIBLE, HIDDEN, "bernoulli")
    machine.vbias.fill_(0.5)
    chance = torch.sigmoid(torch.tensor(0.5, dtype=torch.float64))
    assert torch.allclose(machine.mean_visible(H), chance.expand(ROWS, VISIBLE))
    assert machine.sample_visible(H.int(), DRAWS).shape == (ROWS, VISIBLE)
