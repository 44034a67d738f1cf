"""One model, three roles: what they share, what they see, what the shortcuts leave unchanged."""

import dataclasses

import pytest
import torch
from torch import Tensor

from models.blip import Blip
from models.presets import Shape, preset
from models.text import Cache
from models.vision import resize_positions


def pixels(count: int, side: int = 16) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(7))


def tokens(count: int, length: int) -> Tensor:
    return torch.randint(5, 43, (count, length), generator=torch.Generator().manual_seed(11))


@pytest.fixture(scope="module")
def model() -> Blip:
    return Blip(preset("test"), 43, seed=3).eval().requires_grad_(False)


def test_the_seed_alone_decides_the_first_weights() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, again, other = (Blip(preset("test"), 43, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["text.words.weight"], other["text.words.weight"])


def test_only_self_attention_exists_twice(model: Blip) -> None:
    names = [name for name, _ in model.text.named_parameters()]
    twice = {n.replace(".encoder.", ".decoder.") for n in names if ".encoder." in n}
    assert twice == {n for n in names if ".decoder." in n}
    assert all("self_attention" in n for n in twice)
    assert len({id(p) for p in model.parameters()}) == len(list(model.parameters()))


def test_shapes_are_what_the_page_says(model: Blip) -> None:
    seen = model.encode_image(pixels(5))
    assert seen.shape == (5, 5, 24)
    assert model.image_embedding(seen).shape == (5, 14)
    assert model.image_embedding(seen).norm(dim=1).tolist() == pytest.approx([1] * 5)
    ids = tokens(5, 7)
    mask = torch.ones_like(ids, dtype=torch.bool)
    keys = model.project_image(seen)
    assert len(keys) == 5
    assert model.match(ids, mask, keys).shape == (5, 2)
    assert model.decode(ids, mask, keys).shape == (5, 7, 43)


def test_padding_changes_nothing(model: Blip) -> None:
    short = tokens(2, 5)
    longer = torch.cat([short, torch.zeros(2, 6, dtype=torch.int64)], dim=1)
    keys = model.project_image(model.encode_image(pixels(2)))
    for ids in (short, longer):
        mask = ids != 0
        results = (
            model.encode_text(ids, mask)[:, :5],
            model.match(ids, mask, keys),
            model.decode(ids, mask, keys)[:, :5],
        )
        if ids is short:
            expected = results
    for result, wanted in zip(results, expected, strict=True):
        torch.testing.assert_close(result, wanted)


def test_the_decoder_does_not_see_what_comes_later(model: Blip) -> None:
    ids = tokens(3, 7)
    changed = ids.clone()
    changed[:, 4:] = 9
    mask = torch.ones_like(ids, dtype=torch.bool)
    keys = model.project_image(model.encode_image(pixels(3)))
    before, after = model.decode(ids, mask, keys), model.decode(changed, mask, keys)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_the_encoder_sees_what_comes_later_and_the_image(model: Blip) -> None:
    ids = tokens(3, 7)
    changed = ids.clone()
    changed[:, 6] = 9
    mask = torch.ones_like(ids, dtype=torch.bool)
    assert not torch.allclose(
        model.encode_text(ids, mask)[:, 0], model.encode_text(changed, mask)[:, 0]
    )
    keys = model.project_image(model.encode_image(pixels(3)))
    turned = keys.select(torch.tensor([1, 2, 0]))
    assert not torch.allclose(model.match(ids, mask, keys), model.match(ids, mask, turned))


def test_selected_keys_are_those_of_the_selected_images(model: Blip) -> None:
    seen, index = model.encode_image(pixels(5)), torch.tensor([3, 3, 0])
    selected = model.project_image(seen).select(index)
    projected = model.project_image(seen[index])
    for (key, value), (wanted_key, wanted_value) in zip(
        selected.layers, projected.layers, strict=True
    ):
        torch.testing.assert_close(key, wanted_key)
        torch.testing.assert_close(value, wanted_value)


def test_texts_of_one_image_may_be_packed(model: Blip) -> None:
    ids = tokens(6, 7)
    mask = torch.arange(7) < torch.tensor([7, 5, 3, 2, 6, 7])[:, None]
    keys = model.project_image(model.encode_image(pixels(2)))
    spread = keys.select(torch.tensor([0, 0, 0, 1, 1, 1]))
    torch.testing.assert_close(model.match(ids, mask, keys), model.match(ids, mask, spread))
    torch.testing.assert_close(model.decode(ids, mask, keys), model.decode(ids, mask, spread))


def test_a_summary_is_the_first_token_of_the_whole() -> None:
    shape = preset("test")
    deep = dataclasses.replace(shape, vision=dataclasses.replace(shape.vision, depth=3))
    model = Blip(deep, 43).eval()
    ids = tokens(5, 7)
    mask = torch.arange(7) < torch.tensor([7, 5, 3, 2, 6])[:, None]
    torch.testing.assert_close(model.vision.summary(pixels(5)), model.vision(pixels(5))[:, 0])
    torch.testing.assert_close(
        model.embed_text(ids, mask), model.text_embedding(model.encode_text(ids, mask))
    )


def test_a_cached_step_reads_as_the_whole_sequence_does(model: Blip) -> None:
    ids = tokens(3, 7)
    keys = model.project_image(model.encode_image(pixels(3)))
    cache = Cache(model.shape.text, 3, 7, model.text.words.weight)
    parts = [model.decode_hidden(ids[:, :4], keys, cache)]
    parts += [model.decode_hidden(ids[:, n : n + 1], keys, cache) for n in range(4, 7)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model.decode_hidden(ids, keys))


def test_a_text_beyond_the_last_position_is_refused(model: Blip) -> None:
    ids = tokens(2, 37)
    with pytest.raises(ValueError, match="37 tokens, this model has 32 positions"):
        model.encode_text(ids, ids > 0)


def test_a_state_of_another_resolution_is_fitted_while_it_loads(model: Blip) -> None:
    shape = preset("test")
    bigger = dataclasses.replace(shape, vision=dataclasses.replace(shape.vision, image_size=40))
    larger = Blip(bigger, 43)
    larger.load_state_dict(model.state_dict())
    assert larger.vision.positions.shape == (1, 26, 24)
    assert torch.equal(larger.vision.positions[:, 0], model.vision.positions[:, 0])
    assert larger.encode_image(pixels(2, 40)).shape == (2, 26, 24)
    assert model.state_dict()["vision.positions"].shape == (1, 5, 24)


def test_resized_positions_keep_a_plane_and_the_corners_order() -> None:
    ramp = torch.arange(4.0)
    grid = (10 * ramp[:, None] + ramp[None, :]).reshape(1, 16, 1)
    fitted = resize_positions(torch.cat([torch.full((1, 1, 1), 99.0), grid], dim=1), 65)
    assert fitted[0, 0, 0] == 99
    plane = fitted[0, 1:, 0].reshape(8, 8)
    assert plane.mean().item() == pytest.approx(16.5, abs=1e-4)
    assert plane[0, 0] < plane[0, -1] < plane[-1, 0] < plane[-1, -1]
    with pytest.raises(ValueError, match="square"):
        resize_positions(grid, 65)


def test_the_temperature_is_clamped() -> None:
    model = Blip(preset("test"), 43)
    assert model.temperature.item() == pytest.approx(0.07)
    for value, kept in ((5.0, 0.5), (-1.0, 0.001)):
        with torch.no_grad():
            model.temperature.fill_(value)
        model.clamp_temperature()
        assert model.temperature.item() == pytest.approx(kept)


def test_drop_path_drops_whole_branches_in_training_alone() -> None:
    shape = preset("test")
    vision = dataclasses.replace(shape.vision, drop_path=0.5, depth=3)
    model = Blip(dataclasses.replace(shape, vision=vision), 43)
    same = pixels(1).expand(31, -1, -1, -1)
    torch.manual_seed(1)
    assert len(model.train().vision(same)[:, 0, 0].unique()) > 3
    spread = model.eval().vision(same)[:, 0, 0]
    torch.testing.assert_close(spread, spread[:1].expand(31))


@pytest.mark.parametrize("name", ["tiny", "minilm"])
def test_presets_encode_their_own_size(name: str) -> None:
    shape: Shape = preset(name)
    model = Blip(shape, 97).eval()
    seen = model.encode_image(pixels(2, shape.vision.image_size))
    assert seen.shape == (2, 1 + shape.vision.grid**2, shape.vision.width)
