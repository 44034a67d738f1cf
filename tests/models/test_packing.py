"""Padding costs no arithmetic and changes no number: a packed batch reads as its texts do alone."""

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from models.blip import Blip
from models.packing import UNPADDED, Packing
from models.presets import Shape, TextShape, VisionShape

LENGTHS = (7, 2, 5, 3, 2, 11)
IMAGES, GROUP, WIDTH, MLP = 3, 2, 30, 41


@pytest.fixture(scope="module")
def model() -> Blip:
    vision = VisionShape(image_size=15, patch=5, width=26, depth=1, heads=2, mlp=17)
    text = TextShape(width=WIDTH, depth=3, heads=5, mlp=MLP, positions=13, dropout=0.0)
    made = Blip(Shape(vision=vision, text=text, embedding=19), 53)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return made.double().eval()


def texts() -> tuple[Tensor, Tensor]:
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    ids = torch.randint(5, 53, mask.shape, generator=torch.Generator().manual_seed(5))
    return ids.masked_fill(~mask, 0), mask


def pictures() -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(IMAGES, 3, 15, 15, generator=generator, dtype=torch.float64)


def test_real_tokens_are_taken_out_and_put_back() -> None:
    packing = Packing(torch.tensor([[1, 1, 0], [1, 0, 0]]).bool())
    x = torch.tensor([[[1.0, 2], [3, 4], [9, 9]], [[5, 6], [9, 9], [9, 9]]])
    packed = packing.packed(x)
    assert packed.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert packing.padded(packed).tolist() == [[[1, 2], [3, 4], [0, 0]], [[5, 6], [0, 0], [0, 0]]]
    assert packing.firsts(packed).tolist() == [[[1, 2]], [[5, 6]]]


def test_without_padding_nothing_is_copied() -> None:
    x = torch.randn(3, 2, 5)
    assert UNPADDED.packed(x) is x
    assert UNPADDED.padded(x) is x
    assert torch.equal(UNPADDED.firsts(x), x[:, :1])


def test_what_comes_before_the_last_wanted_place_is_kept() -> None:
    wanted = torch.tensor([[0, 1, 0, 1, 0], [1, 0, 0, 0, 0]]).bool()
    packing = Packing.up_to_last(wanted)
    assert packing.packed(torch.arange(10).reshape(2, 5, 1))[:, 0].tolist() == [0, 1, 2, 3, 5]


@pytest.mark.parametrize("first_only", [False, True])
def test_a_batch_of_all_lengths_is_encoded_as_each_text_alone(
    model: Blip, first_only: bool
) -> None:
    (ids, mask), keys = texts(), model.project_image(model.encode_image(pictures()))
    packed = model.text.encode(ids, mask, keys, first_only=first_only)
    for n, length in enumerate(LENGTHS):
        own = keys.select(torch.tensor([n // GROUP]))
        alone = model.text.encode(ids[n : n + 1, :length], mask[n : n + 1, :length], own)
        wanted = alone[:, :1] if first_only else alone
        assert torch.allclose(packed[n, : wanted.shape[1]], wanted[0], atol=1e-12)
        assert not packed[n, length:].any()


def test_a_batch_of_all_lengths_is_decoded_as_each_text_alone(model: Blip) -> None:
    (ids, mask), keys = texts(), model.project_image(model.encode_image(pictures()))
    packed = model.decode_hidden(ids, keys, wanted=mask)
    for n, length in enumerate(LENGTHS):
        own = keys.select(torch.tensor([n // GROUP]))
        alone = model.decode_hidden(ids[n : n + 1, :length], own)
        assert torch.allclose(packed[n, :length], alone[0], atol=1e-12)


def test_gradients_are_the_sums_of_those_of_each_text(model: Blip) -> None:
    ids, mask = texts()

    def gradients(parts: list[slice], cut: bool) -> dict[str, Tensor]:
        model.zero_grad()
        for part in parts:
            length = int(mask[part].sum(dim=1).max()) if cut else mask.shape[1]
            hidden = model.text.encode(ids[part, :length], mask[part, :length])
            torch.autograd.backward((hidden * mask[part, :length, None]).square().sum())
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    whole = gradients([slice(0, len(LENGTHS))], cut=False)
    each = gradients([slice(n, n + 1) for n in range(len(LENGTHS))], cut=True)
    torch.testing.assert_close(whole, each, rtol=1e-9, atol=1e-9)
    assert not whole["text.words.weight"][0].any()  # [PAD] was not read


def test_padding_is_not_multiplied(model: Blip) -> None:
    ids, mask = texts()
    with FlopCounterMode(display=False) as counter:
        model.text.encode(ids, mask)
    counted = counter.get_flop_counts()["Global"][torch.ops.aten.addmm]
    of_a_token = 2 * (3 * WIDTH * WIDTH + WIDTH * WIDTH + 2 * WIDTH * MLP)
    assert counted == sum(LENGTHS) * model.shape.text.depth * of_a_token
