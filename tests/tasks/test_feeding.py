"""Pictures come in full batches from tar after tar, ahead of their use; damage spoils its own."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tasks.errors import LakeError
from tasks.feeding import BATCHES_AHEAD, Feeding, fed
from tasks.pictures import Picture, read_pictures, shard_pictures
from tasks.storage import Lake
from tests.small_lake import write_lake

CPU = torch.device("cpu")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return write_lake(tmp_path / "lake", counts=(7, 4, 5))


def pictures(lake: Lake) -> list[Picture]:
    return [one for shard in lake.planned("web") for one in shard_pictures(lake, shard)]


def how(batch_size: int, *, on_device: bool = False) -> Feeding:
    return Feeding(
        batch_size=batch_size, sizes=(16, 23), device=CPU, on_device=on_device, decoders=3
    )


def test_batches_are_full_but_for_the_last_and_in_order(lake: Lake) -> None:
    items = [(picture, number) for number, picture in enumerate(pictures(lake))]
    batches = list(fed(lake, items, how(6)))
    assert [batch.items for batch in batches] == [
        [0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13, 14, 15]
    ]  # fmt: skip
    assert not any(batch.spoilt for batch in batches)
    for size in (16, 23):
        squares = torch.cat([batch.squares.of(size) for batch in batches])
        assert torch.equal(squares, read_pictures(lake, pictures(lake), size))


def test_squares_made_on_the_device_differ_by_a_level_at_most(lake: Lake) -> None:
    items = [(picture, number) for number, picture in enumerate(pictures(lake))]
    for batch in fed(lake, items, how(5, on_device=True)):
        assert set(batch.squares.stacked) == {0}
        some = batch.squares.part(slice(0, 2)).to(CPU)
        wanted = read_pictures(lake, [pictures(lake)[n] for n in batch.items[:2]], 23)
        assert (some.of(23).int() - wanted.int()).abs().max() <= 1


def test_a_tar_that_is_gone_spoils_its_own_pictures_alone(lake: Lake) -> None:
    Path(lake.path(lake.web_tar(lake.planned("web")[1]))).unlink()
    items = [(picture, number) for number, picture in enumerate(pictures(lake))]
    batches = list(fed(lake, items, how(6)))
    assert [batch.items for batch in batches] == [[0, 1, 2, 3, 4, 5], [6, 11], [12, 13, 14, 15]]
    assert [number for number, _ in batches[1].spoilt] == [7, 8, 9, 10]
    assert all("00001.tar is missing" in str(error) for _, error in batches[1].spoilt)
    assert len(batches[1].squares.of(16)) == 2


def test_items_are_asked_for_a_few_batches_ahead_and_no_further(lake: Lake) -> None:
    taken = []
    found = pictures(lake)

    def asked() -> Iterator[tuple[Picture, int]]:
        for number, picture in enumerate(found):
            taken.append(number)
            yield picture, number

    batches = fed(lake, asked(), how(1))
    next(batches)
    batches.close()
    assert 1 <= len(taken) <= 1 + BATCHES_AHEAD
    assert not [one for one in threading.enumerate() if one.name.startswith(("feed", "decode"))]


def test_an_error_of_the_items_is_the_callers(lake: Lake) -> None:
    def asked() -> Iterator[tuple[Picture, int]]:
        yield pictures(lake)[0], 0
        raise LakeError("no more")

    batches = fed(lake, asked(), how(1))
    assert next(batches).items == [0]
    with pytest.raises(LakeError, match="no more"):
        next(batches)


def test_nothing_gives_no_batch(lake: Lake) -> None:
    assert list(fed(lake, [], how(3))) == []
