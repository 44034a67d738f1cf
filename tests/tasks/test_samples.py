"""Training reads the right text with the right picture, in an order that (seed, epoch) fixes."""

import contextlib
import threading
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from models.ranks import Ranks
from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.pictures import Picture
from tasks.samples import Samples, epoch_order, key_number, positions
from tasks.storage import Lake, Shard
from tests.small_lake import COLOURS, picture_key, write_lake, write_selection


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = write_lake(tmp_path / "lake", counts=(7, 4))
    write_selection(lake, "all")
    return lake


def test_every_text_comes_with_its_own_picture_and_key(lake: Lake) -> None:
    batch = Samples(lake, ("all",), image_size=13).batch(0, 11, seed=3)
    assert batch.images.shape == (11, 13, 13, 3)
    assert batch.images.dtype == torch.uint8
    for image, text in zip(batch.images, batch.texts, strict=True):
        wanted = torch.tensor(COLOURS[text.split()[1]])
        assert (image.reshape(-1, 3).long() - wanted).abs().max() <= 6
    known = {key_number(picture_key("web", number)) for number in range(11)}
    assert set(batch.keys.tolist()) == known


@pytest.mark.parametrize("workers", [0, 1, 5])
@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_batches_are_the_same_with_any_number_of_workers(
    lake: Lake, workers: int, cache_bytes: int
) -> None:
    slow = Samples(lake, ("all",), image_size=13, cache_bytes=0)
    fast = Samples(lake, ("all",), image_size=13, cache_bytes=cache_bytes)
    with contextlib.closing(fast.batches(5, seed=2, start_step=3, workers=workers)) as batches:
        for step, read in enumerate(islice(batches, 7), start=3):
            alone = slow.batch(step, 5, seed=2)
            assert read.step == step
            assert read.texts == alone.texts
            assert torch.equal(read.keys, alone.keys)
            assert torch.equal(read.images, alone.images)


def test_ranks_read_the_parts_of_one_batch(lake: Lake) -> None:
    samples = Samples(lake, ("all",), image_size=13)
    joined = samples.batch(1, 6, seed=2)
    parts = [samples.batch(1, 6, seed=2, ranks=Ranks(rank, 3)) for rank in range(3)]
    assert [text for part in parts for text in part.texts] == joined.texts
    assert torch.equal(torch.cat([part.images for part in parts]), joined.images)


def test_a_rank_opens_no_picture_of_another_and_none_twice(lake: Lake) -> None:
    samples, rank = Samples(lake, ("all",), image_size=13), Ranks(1, 3)
    own = {samples[place].key for place in positions(11, 0, 6, seed=2)[rank.rows(6)]}
    for picture in samples.pictures:
        if key_number(picture.key) not in own:
            overwrite(lake, picture)
    first = samples.batch(0, 6, seed=2, ranks=rank)
    assert set(first.keys.tolist()) == own
    for picture in samples.pictures:
        overwrite(lake, picture)
    assert torch.equal(samples.batch(0, 6, seed=2, ranks=rank).images, first.images)


def overwrite(lake: Lake, picture: Picture) -> None:
    with Path(lake.path(picture.tar)).open("r+b") as tar:
        tar.seek(picture.offset)
        tar.write(b"\0" * picture.size)


def test_reading_ends_with_its_threads(lake: Lake) -> None:
    batches = Samples(lake, ("all",), image_size=13).batches(5, seed=2, workers=3)
    next(batches)
    batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("reading")]


def test_more_ranks_than_pairs_are_refused_and_a_batch_that_repeats_is_told(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    samples = Samples(lake, ("all",), image_size=13)
    with pytest.raises(InputError, match=r"^11 pairs of 2 shards are too few for 13 ranks: .*11"):
        samples.divide(26, 13)
    samples.divide(11, 11)
    assert caplog.text == ""
    samples.divide(12, 1)
    assert "11 pairs are fewer than a batch of 12" in caplog.text


def test_one_epoch_shows_every_sample_once_and_the_next_in_another_order() -> None:
    assert sorted(epoch_order(101, 7, 0).tolist()) == list(range(101))
    assert epoch_order(101, 7, 0).tolist() != epoch_order(101, 7, 1).tolist()
    assert epoch_order(101, 7, 0).tolist() != epoch_order(101, 8, 0).tolist()


def test_batches_are_slices_of_the_epochs_laid_end_to_end() -> None:
    endless = [i for epoch in range(9) for i in epoch_order(11, 5, epoch).tolist()]
    for step in range(14):
        assert positions(11, step, 7, seed=5) == endless[7 * step : 7 * step + 7]


def test_a_batch_larger_than_the_set_repeats_samples() -> None:
    found = positions(3, 0, 7, seed=1)
    assert len(found) == 7
    assert [found.count(i) for i in range(3)] in ([3, 2, 2], [2, 3, 2], [2, 2, 3])


def test_reading_from_step_n_gives_what_reading_through_gives(lake: Lake) -> None:
    samples = Samples(lake, ("all",), image_size=13)
    through = list(islice(samples.batches(3, seed=1), 9))
    resumed = list(islice(samples.batches(3, seed=1, start_step=6), 3))
    assert [b.texts for b in through[6:]] == [b.texts for b in resumed]
    assert [b.step for b in resumed] == [6, 7, 8]


def test_two_selections_of_one_picture_share_it(lake: Lake) -> None:
    write_selection(lake, "again")
    samples = Samples(lake, ("all", "again"), image_size=13)
    assert len(samples) == 22
    assert len(samples.pictures) == 11


def test_an_empty_selection_says_what_to_do(lake: Lake) -> None:
    path = lake.rows("selections", "none", Shard("web", "00000"))
    rows.write_rows(lake, path, rows.table_of([], rows.SELECTIONS))
    lake.publish_json("selections/none/selection.json", {"id": "none", "digest": "0"})
    with pytest.raises(InputError, match=r"selection none keeps no caption at all.*loosen"):
        Samples(lake, ("none",), image_size=13)


def test_an_unfinished_selection_is_refused_and_the_finished_ones_are_listed(lake: Lake) -> None:
    with pytest.raises(InputError, match=r"'other' is missing or unfinished.*\(there: all\)"):
        Samples(lake, ("all", "other"), image_size=13)


def test_a_selected_picture_that_is_not_in_its_shard_is_an_error(lake: Lake) -> None:
    path = lake.rows("selections", "stray", Shard("web", "00000"))
    row = {"key": picture_key("web", 9), "caption_id": "x", "text": "a hat", "source": "web"}
    rows.write_rows(lake, path, rows.table_of([row], rows.SELECTIONS))
    lake.publish_json("selections/stray/selection.json", {"id": "stray", "digest": "0"})
    with pytest.raises(LakeError, match=r"wants picture .* which shard web/00000 does not hold"):
        Samples(lake, ("stray",), image_size=13)


def test_a_tar_that_is_not_the_one_its_rows_describe_is_named(lake: Lake) -> None:
    tar = Path(lake.path(lake.web_tar(Shard("web", "00001"))))
    tar.write_bytes(b"\0" * tar.stat().st_size)
    samples = Samples(lake, ("all",), image_size=13)
    with pytest.raises(LakeError, match=r"web/web/00001.tar cannot be decoded"):
        list(islice(samples.batches(11, seed=2), 1))


@pytest.mark.parametrize(("kept", "state"), [(2000, "has 2000 bytes of"), (None, "is missing")])
def test_a_tar_cut_short_or_gone_is_named_before_anything_is_read(
    lake: Lake, kept: int | None, state: str
) -> None:
    tar = Path(lake.path(lake.web_tar(Shard("web", "00001"))))
    if kept is None:
        tar.unlink()
    else:
        tar.write_bytes(tar.read_bytes()[:kept])
    with pytest.raises(LakeError, match=rf"web/web/00001.tar in .* {state}"):
        Samples(lake, ("all",), image_size=13)


def test_what_is_taken_out_is_not_read_again(lake: Lake) -> None:
    samples = Samples(lake, ("all",), image_size=13)
    blue = np.array(["blue" in text for text in samples.texts])
    taken = samples.take_out(blue)
    assert {sample.text.split()[1] for sample in taken} == {"blue"}
    assert len(samples) == 11 - len(taken)
    assert not any("blue" in text for text in samples.batch(0, 2 * len(samples), 3).texts)
