"""Each loss equals the loop that the paper describes, sample by sample."""

import math

import pytest
import torch
from torch import Tensor

from models.losses import (
    IGNORED,
    contrastive_loss,
    hard_negatives,
    language_loss,
    matching_loss,
    same_image,
    soft_targets,
)


def drawn(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def softmax(row: list[float]) -> list[float]:
    total = sum(math.exp(x) for x in row)
    return [math.exp(x) / total for x in row]


def test_the_contrastive_loss_is_the_loop_over_samples_and_usable_keys() -> None:
    similarity, teacher, alpha = drawn(3, 7), drawn(3, 7, seed=5), 0.4
    keys, known = torch.tensor([11, 13, 11]), torch.tensor([11, 13, 11, 17, 13, -1, -1])
    usable = known != -1
    targets = soft_targets(teacher, same_image(keys, known), usable, alpha)

    expected = 0.0
    for i in range(3):
        places = [j for j in range(7) if known[j] != -1]
        belief = softmax([teacher[i, j].item() for j in places])
        chance = softmax([similarity[i, j].item() for j in places])
        matches = [float(known[j] == keys[i]) for j in places]
        for believed, probability, match in zip(belief, chance, matches, strict=True):
            target = alpha * believed + (1 - alpha) * match / sum(matches)
            expected -= target * math.log(probability) / 3
    assert contrastive_loss(similarity, targets, usable).item() == pytest.approx(expected, rel=1e-5)


def test_two_texts_of_one_image_are_positives_and_never_negatives() -> None:
    keys = torch.tensor([5, 7, 5])
    assert same_image(keys, keys).tolist() == [
        [True, False, True],
        [False, True, False],
        [True, False, True],
    ]
    drawn_columns = {
        tuple(hard_negatives(drawn(3, 3), same_image(keys, keys), uniform)[0].tolist())
        for uniform in torch.rand(50, 3, generator=torch.Generator().manual_seed(9))
    }
    assert drawn_columns <= {(1, 0, 1), (1, 2, 1)}
    assert len(drawn_columns) == 2


def test_without_keys_only_the_diagonal_is_positive() -> None:
    keys = torch.tensor([5, 7, 5])
    same = same_image(keys, torch.cat([keys, keys]), by_key=False)
    assert same.nonzero().tolist() == [[0, 0], [1, 1], [2, 2]]


def test_the_teacher_gets_no_gradient() -> None:
    teacher = drawn(3, 3).requires_grad_()
    positives = torch.eye(3, dtype=torch.bool)
    targets = soft_targets(teacher, positives, torch.ones(3, dtype=torch.bool), 0.4)
    assert not targets.requires_grad
    assert targets.sum(dim=1).tolist() == pytest.approx([1, 1, 1])


def test_hard_negatives_are_drawn_as_often_as_they_look_alike() -> None:
    similarity = torch.tensor([[9.0, 0.0, math.log(2), math.log(5)]]).expand(4, -1)
    same = torch.tensor([[True, False, False, False]]).expand(4, -1)
    generator = torch.Generator().manual_seed(1)
    counts = torch.zeros(4)
    for uniform in torch.rand(2000, 4, generator=generator):
        columns, possible = hard_negatives(similarity, same, uniform)
        assert possible.all()
        counts += columns.bincount(minlength=4)
    weights = similarity[0].softmax(0) + 1e-4
    weights[0] = 0
    assert counts[0] == 0
    assert (counts / counts.sum()).tolist() == pytest.approx(
        (weights / weights.sum()).tolist(), abs=0.02
    )


def test_a_batch_of_one_image_has_no_negative_and_says_so() -> None:
    same = torch.ones(3, 3, dtype=torch.bool)
    columns, possible = hard_negatives(drawn(3, 3), same, torch.rand(3))
    assert columns.tolist() == [0, 0, 0]
    assert not possible.any()


def test_the_number_drawn_decides_which_negative_it_is() -> None:
    # Weights 1/2, 1/4 and 1/4 of what is left without the own one.
    similarity = torch.tensor([[0.0, math.log(2), 0.0, 0.0]]).expand(5, -1)
    same = torch.tensor([[True, False, False, False]]).expand(5, -1)
    uniform = torch.tensor([0.0, 0.49, 0.51, 0.74, 0.76])
    assert hard_negatives(similarity, same, uniform)[0].tolist() == [1, 1, 2, 2, 3]


def test_without_keys_the_diagonal_starts_where_the_own_keys_do() -> None:
    keys = torch.tensor([5, 7])
    same = same_image(keys, torch.tensor([7, 5, 5, 7, 5]), first=2, by_key=False)
    assert same.nonzero().tolist() == [[0, 2], [1, 3]]


def test_the_matching_loss_counts_index_one_as_a_match_and_skips_what_is_no_pair() -> None:
    logits = torch.tensor([[0.0, 2.0], [1.0, -1.0], [50.0, 0.0]])
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-2))) / 2
    loss = matching_loss(logits, torch.tensor([1, 0, IGNORED]))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_the_language_loss_is_the_smoothed_mean_over_scored_tokens() -> None:
    logits, smoothing, size = drawn(5, 7), 0.1, 7
    targets = torch.tensor([3, IGNORED, 0, 6, IGNORED])
    expected = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        if target != IGNORED:
            for token, probability in enumerate(softmax(row)):
                wanted = smoothing / size + (1 - smoothing) * (token == target)
                expected -= wanted * math.log(probability) / 3
    assert language_loss(logits, targets, smoothing).item() == pytest.approx(expected, rel=1e-5)


def test_half_precision_similarities_are_summed_in_single() -> None:
    usable = torch.ones(3, dtype=torch.bool)
    targets = torch.eye(3)
    half = contrastive_loss(drawn(3, 3).bfloat16() * 100, targets, usable)
    assert half.dtype == torch.float32
    assert half.isfinite()
