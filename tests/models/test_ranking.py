"""Ranks, recall@k and AUC are what counting every candidate, in every order of ties, gives."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from models.ranking import auc, chance, ranks, recall_at, same_image, standing

IMAGES = torch.tensor([0, 1])
CAPTIONS_OF = torch.tensor([0, 0, 1, 1])
SCORES = torch.tensor([[0.9, 0.2, 0.8, 0.1], [0.7, 0.3, 0.4, 0.2]])


def slow(scores: Tensor, is_right: Tensor, k: int) -> tuple[list[float], list[float]]:
    """Mean rank and recall@k over every order of the candidates that sorting could leave."""
    mean_ranks, recalls = [], []
    for row, right in zip(scores.tolist(), is_right.tolist(), strict=True):
        seen_ranks = []
        for order in itertools.permutations(range(len(row))):
            by_score = sorted(order, key=lambda m: -row[m])  # stable: ties stay in this order
            seen_ranks.append(1 + next(at for at, m in enumerate(by_score) if right[m]))
        mean_ranks.append(sum(seen_ranks) / len(seen_ranks))
        recalls.append(sum(rank <= k for rank in seen_ranks) / len(seen_ranks))
    return mean_ranks, recalls


def test_the_example_of_two_images_and_four_captions() -> None:
    to_text = standing(SCORES, same_image(IMAGES, CAPTIONS_OF))
    to_image = standing(SCORES.T, same_image(CAPTIONS_OF, IMAGES))
    assert ranks(to_text).tolist() == [1, 2]
    assert recall_at(to_text, 1).tolist() == [1, 0]
    assert recall_at(to_text, 2).tolist() == [1, 1]
    assert ranks(to_image).tolist() == [1, 2, 2, 1]
    assert recall_at(to_image, 1).mean().item() == 0.5


@pytest.mark.parametrize("seed", range(7))
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_ties_count_as_the_mean_of_all_orders(seed: int, k: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Few different values, so that most rows have ties between right and wrong candidates.
    scores = torch.randint(0, 3, (5, 6), generator=generator).float()
    is_right = torch.rand(5, 6, generator=generator) < 0.4
    is_right[:, seed % 6] = True
    mean_ranks, recalls = slow(scores, is_right, k)
    found = standing(scores, is_right)
    assert ranks(found).tolist() == pytest.approx(mean_ranks)
    assert recall_at(found, k).tolist() == pytest.approx(recalls)


def test_scores_that_are_all_alike_are_chance() -> None:
    is_right = same_image(torch.arange(7), torch.arange(7).repeat_interleave(3))
    assert chance(is_right, 5).tolist() == pytest.approx(
        [1 - math.comb(18, 5) / math.comb(21, 5)] * 7
    )
    # Random scores come to the same on average.
    generator = torch.Generator().manual_seed(0)
    drawn = [
        recall_at(standing(torch.rand(7, 21, generator=generator), is_right), 5).mean().item()
        for _ in range(600)
    ]
    assert sum(drawn) / 600 == pytest.approx(chance(is_right, 5).mean().item(), abs=0.02)


def test_a_candidate_that_was_not_considered_comes_last() -> None:
    scores = torch.tensor([[0.5, -math.inf, 0.1]])
    found = standing(scores, torch.tensor([[False, True, False]]))
    assert ranks(found).tolist() == [3]
    assert recall_at(found, 2).tolist() == [0]


def test_a_query_without_an_answer_and_a_score_that_is_nan_are_refused() -> None:
    with pytest.raises(ValueError, match="no right candidate"):
        standing(torch.zeros(2, 3), torch.tensor([[True, False, False], [False] * 3]))
    with pytest.raises(ValueError, match="NaN"):
        standing(torch.tensor([[0.0, math.nan]]), torch.tensor([[True, False]]))
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        standing(torch.zeros(2, 3), torch.ones(3, 2, dtype=torch.bool))


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_the_share_of_pairs_in_the_right_order(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 5, (23,), generator=generator).float()
    is_positive = torch.rand(23, generator=generator) < 0.4
    pairs = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p in scores[is_positive].tolist()
        for n in scores[~is_positive].tolist()
    ]
    assert auc(scores, is_positive) == pytest.approx(sum(pairs) / len(pairs))


def test_auc_of_one_class_alone_is_not_a_number() -> None:
    assert math.isnan(auc(torch.rand(3), torch.ones(3, dtype=torch.bool)))
