"""A mix of scores chooses as counting by hand does, and weights are the best of those tried."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from models.reranking import (
    chosen,
    first_choice,
    parts,
    places,
    shares,
    standardised,
    validated,
)

NAN = math.nan
IMAGES, PLACES = 5, 3


def drawn(terms: int, seed: int = 0, images: int = IMAGES) -> Tensor:
    return torch.randn(terms, images, PLACES, generator=torch.Generator().manual_seed(seed))


def test_z_scores_are_taken_within_each_image_over_the_candidates_it_has() -> None:
    found = standardised(torch.tensor([[1.0, 3.0, NAN], [7.0, 7.0, 7.0], [2.0, NAN, NAN]]))
    assert found[0, :2].tolist() == [-1, 1]
    assert found[1].tolist() == [0, 0, 0]  # all alike: no opinion, and no division by 0
    assert found[2, 0].item() == 0
    assert found.isnan().tolist() == [[False, False, True], [False] * 3, [False, True, True]]


def test_units_and_what_all_candidates_share_have_no_influence() -> None:
    terms = drawn(2).double()
    other = torch.stack([terms[0] * 700 + 13, terms[1] * 0.003 - 4])
    weights = torch.tensor([0.3, 0.7])
    assert torch.allclose(parts(terms, weights), parts(other, weights), atol=1e-9)


def test_an_infinite_score_is_refused() -> None:
    with pytest.raises(ValueError, match="infinite"):
        standardised(torch.tensor([[1.0, math.inf]]))


def test_parts_add_up_by_their_weights_and_a_weight_of_zero_asks_for_no_score() -> None:
    lm = torch.tensor([[1.0, 3.0, NAN]])
    unknown = torch.full((1, 3), NAN)
    itm = torch.tensor([[5.0, 1.0, NAN]])
    added = parts(torch.stack([lm, unknown, itm]), torch.tensor([0.25, 0.0, 0.75]))
    assert added[:, 0, 0].tolist() == [-0.25, 0, 0.75]
    assert added[:, 0, 1].tolist() == [0.25, 0, -0.75]
    assert added[:, 0, 2].isnan().all()  # no candidate there
    assert added.sum(0)[0, :2].tolist() == [0.5, -0.5]


def test_a_candidate_without_a_score_that_counts_has_no_place_and_is_never_chosen() -> None:
    scores = torch.tensor([[0.2, NAN, 0.9, 0.2], [NAN, NAN, NAN, 0.1]])
    assert places(scores).tolist() == [[2, 0, 1, 3], [0, 0, 0, 1]]
    assert first_choice(scores).tolist() == [2, 3]
    with pytest.raises(ValueError, match="no candidate"):
        first_choice(torch.full((1, 3), NAN))


def test_of_equal_scores_the_first_candidate_wins() -> None:
    scores = torch.zeros(7, 41)
    assert first_choice(scores).tolist() == [0] * 7
    assert places(scores)[3].tolist() == list(range(1, 42))


def test_choosing_reads_each_rows_own_value() -> None:
    values = torch.arange(6.0).reshape(2, 3)
    assert chosen(values, torch.tensor([2, 0])).tolist() == [2, 3]


@pytest.mark.parametrize(("terms", "steps"), [(1, 3), (2, 5), (3, 4), (4, 3)])
def test_shares_are_all_ways_to_divide_and_each_once(terms: int, steps: int) -> None:
    wanted = {
        tuple(c / steps for c in counts)
        for counts in itertools.product(range(steps + 1), repeat=terms)
        if sum(counts) == steps
    }
    found = [tuple(row) for row in shares(terms, steps).tolist()]
    assert len(found) == len(wanted)
    assert set(found) == wanted


@pytest.mark.parametrize("seed", range(5))
def test_validated_weights_earn_what_trying_every_share_can_earn(seed: int) -> None:
    terms, reward = drawn(3, seed), drawn(1, seed + 100)[0]
    found = validated(terms, reward, steps=4)
    best = max(_earned(terms, reward, w) for w in shares(3, 4))
    assert found.reward == pytest.approx(best)
    assert _earned(terms, reward, found.weights) == pytest.approx(best)
    assert found.weights.sum().item() == pytest.approx(1)


def _earned(terms: Tensor, reward: Tensor, weights: Tensor) -> float:
    """The same, one image and candidate at a time."""
    total = 0.0
    for image in range(terms.shape[1]):
        mixed = [0.0] * PLACES
        for term, weight in zip(terms, weights.tolist(), strict=True):
            row = term[image].double()
            for place in range(PLACES):
                spread = row.std(correction=0)
                mixed[place] += weight * float((row[place] - row.mean()) / spread)
        total += float(reward[image, mixed.index(max(mixed))])
    return total / terms.shape[1]


def test_a_term_that_is_the_reward_gets_all_the_weight_it_needs() -> None:
    reward = drawn(1, seed=3, images=211)[0]
    noise = drawn(2, seed=4, images=211)
    found = validated(torch.stack([noise[0], reward, noise[1]]), reward)
    assert found.weights[1] == found.weights.max() > 0.5
    assert found.reward == pytest.approx(float(reward.amax(1).mean()))


def test_where_every_weight_earns_the_same_the_most_even_is_taken() -> None:
    found = validated(drawn(2), torch.ones(IMAGES, PLACES), steps=10)
    assert found.weights.tolist() == [0.5, 0.5]


def test_weights_need_something_to_be_chosen_on() -> None:
    with pytest.raises(ValueError, match="a term and an image"):
        validated(torch.zeros(3, 0, 2), torch.zeros(0, 2))
