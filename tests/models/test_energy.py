"""An energy over pairs is the RBM's own, and telling pairs apart teaches it what PMI is."""

import itertools

import pytest
import torch
from torch import Tensor

from models.energy import EnergyFit, PairEnergy, contrastive_loss, fit_pair_energy

IMAGE, TEXT, HIDDEN = 3, 5, 7


def energy(seed: int = 0) -> PairEnergy:
    made = PairEnergy(IMAGE, TEXT, HIDDEN, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        made.hbias.copy_(torch.linspace(-1, 1, HIDDEN))
    return made.double().requires_grad_(False)


def test_the_score_is_the_change_of_free_energy_by_seeing_both_summed_over_every_state() -> None:
    made = energy()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(11, IMAGE, generator=generator).double()
    y = torch.randn(11, TEXT, generator=generator).double()
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=HIDDEN))).double()

    def log_sum(field: Tensor) -> Tensor:
        return torch.logsumexp((made.hbias + field) @ states.T, -1)

    a, d, nothing = x @ made.image_weight, y @ made.text_weight, torch.zeros(11, HIDDEN).double()
    wanted = log_sum(a + d) - log_sum(a) - log_sum(d) + log_sum(nothing)
    assert torch.allclose(made(x, y), wanted, atol=1e-12)


def test_a_side_that_says_nothing_scores_zero() -> None:
    made = energy()
    assert made(torch.zeros(IMAGE).double(), torch.randn(13, TEXT).double()).abs().max() < 1e-12


def test_other_texts_of_the_same_image_are_no_wrong_answers() -> None:
    made = energy()
    x, y = torch.randn(4, IMAGE).double(), torch.randn(4, TEXT).double()
    x[1] = x[0]
    alone = contrastive_loss(made, x, y, torch.arange(4))
    together = contrastive_loss(made, x, y, torch.tensor([0, 0, 1, 2]))
    scores = made(x[:, None], y[None])
    rows = [[0, 2, 3], [1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]]
    wanted = 0.0
    for matrix in (scores, scores.T):
        for i, allowed in enumerate(rows):
            wanted += float(torch.logsumexp(matrix[i, allowed], 0) - matrix[i, i]) / 8
    assert float(together) == pytest.approx(wanted)
    assert float(alone) > float(together)


def paired(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pairs of one correlated column each, rho 0.8, beside columns of noise."""
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(count, width, generator=generator) for width in (IMAGE, TEXT))
    y[:, 0] = 0.8 * x[:, 0] + 0.6 * y[:, 0]
    return x, y


def test_training_learns_the_order_of_the_true_pmi_and_repeats_itself() -> None:
    x, y = paired(2003, 0)
    held_out = torch.arange(2003) % 10 == 0
    how = EnergyFit(hidden=11, updates=300, learning_rate=0.02)
    one, two = (fit_pair_energy(x, y, torch.arange(2003), held_out, how) for _ in "ab")
    assert one.image_weight.equal(two.image_weight)
    x, y = paired(997, 1)
    rho = 0.8
    a, b = x[:, 0], y[:, 0]
    pmi = (2 * rho * a * b - rho**2 * (a**2 + b**2)) / (2 * (1 - rho**2))
    found = torch.stack([pmi, one(x, y)])
    assert float(torch.corrcoef(found)[0, 1]) > 0.7
    shuffled = one(x, y.roll(1, 0))
    assert float((one(x, y) > shuffled).double().mean()) > 0.65  # the true PMI: 0.76


def test_too_few_pairs_on_a_side_are_refused() -> None:
    x, y = paired(7, 0)
    with pytest.raises(ValueError, match="two pairs"):
        fit_pair_energy(x, y, torch.arange(7), torch.arange(7) == 0, EnergyFit(updates=1))
