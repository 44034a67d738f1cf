"""A caption's image is looked for among the right others, and found where counting finds it."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.ranking import ranks, recall_at
from models.self_retrieval import distractors, self_standing, shared_captions

WIDTH = 7


def unit(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_images_that_share_a_caption_get_one_number_also_through_a_third() -> None:
    captions = [["a"], ["b"], ["c", "d"], ["a", "e"], ["e"], [], [], ["d"], ["c"]]
    found = shared_captions(captions).tolist()
    groups = {frozenset(i for i, n in enumerate(found) if n == number) for number in found}
    assert groups == {frozenset(group) for group in ({0, 3, 4}, {1}, {2, 7, 8}, {5}, {6})}


def test_distractors_are_the_nearest_and_others_never_the_same_or_alike() -> None:
    images = unit(31, WIDTH)
    alike = torch.arange(31)
    alike[[4, 9, 20]] = 4
    found = distractors(images, alike, torch.Generator().manual_seed(1), near=3, drawn=5)
    assert found.shape == (31, 8)
    cosines = images @ images.T
    for image, own in enumerate(found.tolist()):
        allowed = [other for other in range(31) if alike[other] != alike[image]]
        assert len(set(own)) == 8
        assert set(own) <= set(allowed)
        nearest = sorted(allowed, key=lambda other: -float(cosines[image, other]))[:3]
        assert set(own[:3]) == set(nearest)


def test_the_draw_follows_the_generator_and_reaches_every_image() -> None:
    images, alike = unit(23, WIDTH), torch.arange(23)
    draws = [
        distractors(images, alike, torch.Generator().manual_seed(s), near=2, drawn=4)
        for s in (0, 0, 1)
    ]
    assert draws[0].equal(draws[1])
    assert not draws[0].equal(draws[2])
    seen = {
        int(other)
        for seed in range(60)
        for other in distractors(
            images, alike, torch.Generator().manual_seed(seed), near=2, drawn=4
        )[5]
    }
    assert seen == set(range(23)) - {5}


def test_too_few_images_to_be_lost_among_are_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"8 distractors .* with 11 images .* has 7"):
        distractors(
            unit(11, WIDTH), torch.arange(11).clamp(max=7), torch.Generator(), near=3, drawn=5
        )


def test_a_caption_stands_where_counting_its_betters_puts_it() -> None:
    images, captions = unit(19, WIDTH), unit(19, 3, WIDTH, seed=1)
    captions[2, 1] = images[2]  # finds its own
    others = distractors(images, torch.arange(19), torch.Generator(), near=4, drawn=4)
    found = self_standing(images, captions, others)
    wanted = [
        1
        + sum(
            float(captions[i, c].double() @ images[o].double())
            > float(captions[i, c].double() @ images[i].double())
            for o in others[i].tolist()
        )
        for i in range(19)
        for c in range(3)
    ]
    assert ranks(found).tolist() == wanted
    assert recall_at(found, 1).reshape(19, 3)[2, 1] == 1


def test_two_pictures_that_look_the_same_to_the_judge_share_the_first_place() -> None:
    images = unit(5, WIDTH)
    images[1] = images[0]
    others = torch.tensor([[1, 2], [0, 2], [3, 4], [0, 1], [0, 1]])
    found = self_standing(images, images[:, None], others)
    assert recall_at(found, 1).tolist() == [0.5, 0.5, 1, 1, 1]
