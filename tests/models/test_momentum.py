"""The slow copy follows the model, and the rings remember the newest pairs at any batch size."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.blip import Blip
from models.momentum import EMPTY, Momentum
from models.presets import preset


@pytest.fixture
def model() -> Blip:
    return Blip(preset("test"), 43)


def pairs(first: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    keys = torch.arange(first, first + count)
    vectors = keys[:, None].float().expand(-1, 14)
    return vectors, -vectors, keys


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 1, 4), (7,), (11, 2), (2, 23)])
def test_the_ring_holds_the_newest_pairs_whatever_the_batch_sizes(
    model: Blip, sizes: tuple[int, ...]
) -> None:
    momentum, seen = Momentum(model, 7), 0
    for size in sizes:
        momentum.enqueue(*pairs(seen, size))
        seen += size
    kept = [key for key in momentum.key_queue.tolist() if key != EMPTY]
    assert sorted(kept) == list(range(max(seen - 7, 0), seen))
    for place, key in enumerate(momentum.key_queue.tolist()):
        if key != EMPTY:
            assert momentum.image_queue[place].tolist() == [key] * 14
            assert momentum.text_queue[place].tolist() == [-key] * 14
    assert momentum.pointer.item() == seen % 7


def test_a_queue_of_no_places_takes_nothing(model: Blip) -> None:
    momentum = Momentum(model, 0)
    momentum.enqueue(*pairs(0, 3))
    assert momentum.key_queue.tolist() == []


def test_an_update_moves_each_weight_by_its_share(model: Blip) -> None:
    momentum = Momentum(model, 7)
    before = {name: p.clone() for name, p in momentum.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    momentum.update(model, 0.9)
    for name, parameter in momentum.named_parameters():
        torch.testing.assert_close(parameter, before[name] + 0.1)


def test_it_embeds_as_the_model_does_when_their_weights_are_equal(model: Blip) -> None:
    momentum = Momentum(model.eval(), 7)
    pixels = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    ids = torch.randint(1, 43, (3, 5), generator=torch.Generator().manual_seed(3))
    mask = torch.ones_like(ids, dtype=torch.bool)
    images, texts = momentum.embed(pixels, model.image_features(pixels), ids, mask)
    torch.testing.assert_close(images, model.image_embedding(model.encode_image(pixels)))
    torch.testing.assert_close(texts, model.text_embedding(model.encode_text(ids, mask)))
    torch.testing.assert_close(images, F.normalize(images, dim=-1))


def test_it_has_no_decoder_no_cross_attention_and_no_gradient(model: Blip) -> None:
    names = dict(Momentum(model, 7).named_parameters())
    assert not [n for n in names if "cross" in n or "decoder" in n or "language" in n]
    assert not [n for n, parameter in names.items() if parameter.requires_grad]


def test_it_stays_in_eval_mode(model: Blip) -> None:
    momentum = Momentum(model, 7)
    momentum.train()
    assert not [m for m in momentum.modules() if m.training]


def test_a_frozen_backbone_is_not_copied_and_a_trained_one_is() -> None:
    for freeze in (True, False):
        shape = preset("minilm")
        vision = dataclasses.replace(shape.vision, freeze=freeze, image_size=32, width=24)
        shape = dataclasses.replace(shape, vision=vision, text=preset("test").text)
        momentum = Momentum(Blip(shape, 43), 7)
        assert (momentum.backbone is None) == freeze


def test_its_state_restores_queues_and_pointer(model: Blip) -> None:
    momentum = Momentum(model, 7)
    momentum.enqueue(*pairs(0, 5))
    back = Momentum(model, 7)
    back.load_state_dict(momentum.state_dict())
    assert back.key_queue.tolist() == [0, 1, 2, 3, 4, EMPTY, EMPTY]
    assert back.pointer.item() == 5
