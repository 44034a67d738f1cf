"""Training reads the right text with the right picture, in an order that (seed, epoch) fixes."""

from itertools import islice
from pathlib import Path

import pytest
import torch

from tasks import rows
from tasks.errors import InputError, LakeError
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


def test_pictures_decoded_on_the_fly_equal_those_kept_in_memory(lake: Lake) -> None:
    kept = Samples(lake, ("all",), image_size=13)
    fly = Samples(lake, ("all",), image_size=13, cache_bytes=0)
    pairs = zip(kept.batches(5, seed=2), fly.batches(5, seed=2), strict=False)
    for step, (a, b) in enumerate(islice(pairs, 6)):
        assert a.step == b.step == step
        assert a.texts == b.texts
        assert torch.equal(a.images, b.images)


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
    with pytest.raises(LakeError, match=r"web/web/00001.tar cannot be decoded"):
        Samples(lake, ("all",), image_size=13)
