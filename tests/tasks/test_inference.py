"""Pictures go through a model in order, decoded ahead, and a small device only makes it slower."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.blip import Blip
from models.preprocessing import pixels_for
from models.presets import preset
from models.tokenization import Tokenizer
from tasks.checkpoints import LoadedModel, load_model, save_checkpoint
from tasks.errors import ModelError
from tasks.inference import over_pictures, shared_model
from tasks.pictures import Picture, read_pictures, shard_pictures
from tasks.storage import Lake, Shard
from tests.small_lake import write_lake

MODEL = "checkpoints/blip/00000001"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = write_lake(tmp_path / "lake", counts=(7,))
    tokenizer = Tokenizer.train(["a red square"], 60)
    save_checkpoint(lake, "blip", 1, Blip(preset("test"), tokenizer.vocab_size), tokenizer, {})
    return lake


def items_of(lake: Lake) -> list[tuple[Picture, int]]:
    pictures = shard_pictures(lake, Shard("web", "00000"))
    return [(picture, number) for number, picture in enumerate(pictures)]


def named_means(pixels: Tensor, numbers: list[int]) -> list[float]:
    """The mean of each picture, and ten for each number before its own."""
    values = pixels.mean(dim=(1, 2, 3)).tolist()
    return [10 * number + value for number, value in zip(numbers, values, strict=True)]


def alone(lake: Lake, loaded: LoadedModel) -> list[float]:
    vision = loaded.model.shape.vision
    return [
        named_means(pixels_for(vision, read_pictures(lake, [picture], 16)), [number])[0]
        for picture, number in items_of(lake)
    ]


@pytest.mark.parametrize("batch_size", [1, 3, 7, 11])
def test_every_item_meets_its_own_picture_in_order(lake: Lake, batch_size: int) -> None:
    loaded = load_model(lake, MODEL)
    found = over_pictures(lake, loaded, items_of(lake), batch_size, named_means)
    assert found == pytest.approx(alone(lake, loaded))


def test_running_out_of_memory_halves_the_batch_for_good_and_loses_nothing(lake: Lake) -> None:
    loaded, sizes = load_model(lake, MODEL), []

    def small_device(pixels: Tensor, numbers: list[int]) -> list[float]:
        sizes.append(len(numbers))
        if len(numbers) > 2:
            raise torch.OutOfMemoryError("a device with room for two pictures")
        return named_means(pixels, numbers)

    found = over_pictures(lake, loaded, items_of(lake), 5, small_device)
    assert sizes == [5, 2, 2, 1, 2]
    assert found == pytest.approx(alone(lake, loaded))


def test_a_device_without_room_for_one_picture_is_a_line(lake: Lake) -> None:
    def full(_: Tensor, __: list[int]) -> list[int]:
        raise torch.OutOfMemoryError("full")

    with pytest.raises(ModelError, match="one picture does not fit the memory of cpu"):
        over_pictures(lake, load_model(lake, MODEL), items_of(lake), 5, full)


def test_other_errors_are_not_taken_for_want_of_memory(lake: Lake) -> None:
    def broken(_: Tensor, __: list[int]) -> list[int]:
        raise RuntimeError("CUDA error: an illegal memory access")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        over_pictures(lake, load_model(lake, MODEL), items_of(lake), 5, broken)


def test_a_model_is_loaded_once_until_its_address_means_another(lake: Lake) -> None:
    first = shared_model(lake, "checkpoints/blip", "cpu")
    assert shared_model(lake, "checkpoints/blip", "cpu") is first
    assert shared_model(lake, MODEL, "cpu") is first
    save_checkpoint(lake, "blip", 2, first.model, first.tokenizer, {})
    assert shared_model(lake, "checkpoints/blip", "cpu").uri == "checkpoints/blip/00000002"


def test_a_device_that_is_not_there_is_a_line(lake: Lake) -> None:
    with pytest.raises(ModelError, match="device 'abacus' cannot be used here; this machine has"):
        shared_model(lake, MODEL, "abacus")
