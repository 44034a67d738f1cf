"""Vectors come back as pairs with their keys; what cannot be used is refused or counted."""

import numpy as np
import pytest
import torch

from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.storage import Lake, Shard
from tasks.vectors import held_out, pairs_of, read_vectors
from tests.vectors import drawn_vectors, write_sides, write_vectors

FIRST, SECOND = Shard("web", "00000"), Shard("web", "00001")


def test_pairs_are_image_then_text_in_the_order_of_shards_and_rows(lake: Lake) -> None:
    write_vectors(lake, pairs=7)
    write_vectors(lake, shard="00001", pairs=3)
    pairs, keys, dropped = read_vectors(lake, "v", ("web",))
    first, second = drawn_vectors(7, seed=0), drawn_vectors(3, seed=1)
    assert np.array_equal(pairs.numpy(), np.vstack([np.hstack(first), np.hstack(second)]))
    assert pairs.dtype == torch.float64
    assert keys == [rows.key_of(f"00000 {n}") for n in range(7)] + [
        rows.key_of(f"00001 {n}") for n in range(3)
    ]
    assert dropped == 0


def test_a_shard_of_which_nothing_was_kept_adds_no_pairs(lake: Lake) -> None:
    write_vectors(lake, pairs=0)
    write_vectors(lake, shard="00001", pairs=3)
    assert len(read_vectors(lake, "v", ("web",))[0]) == 3
    assert pairs_of(rows.read_rows(lake, lake.rows("vectors", "v", FIRST))).shape == (0, 10)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_bad_row_in_a_hundred_is_dropped_and_counted(lake: Lake, value: float) -> None:
    images, texts = drawn_vectors(100)
    texts[41, 2] = value
    write_sides(lake, images, texts, "v", FIRST)
    pairs, keys, dropped = read_vectors(lake, "v", ("web",))
    assert dropped == 1
    assert len(pairs) == len(keys) == 99
    assert rows.key_of("00000 41") not in keys
    assert torch.isfinite(pairs).all()


def test_more_bad_rows_than_one_in_a_hundred_are_a_broken_model(lake: Lake) -> None:
    images, texts = drawn_vectors(100)
    images[41, 2] = texts[17, 0] = np.nan
    write_sides(lake, images, texts, "v", FIRST)
    with pytest.raises(InputError, match=r"2 of 100 vectors of v hold NaN .* embed again"):
        read_vectors(lake, "v", ("web",))


def test_shards_of_two_models_are_refused_with_both_widths_and_files(lake: Lake) -> None:
    write_vectors(lake, pairs=7)
    write_vectors(lake, shard="00001", pairs=3, width=11)
    with pytest.raises(InputError, match=r"5 wide in .*/00000\.parquet, 11 wide in .*/00001"):
        read_vectors(lake, "v", ("web",))


def test_a_batch_without_vectors_is_named_though_another_has_some(lake: Lake) -> None:
    write_vectors(lake, pairs=7)
    with pytest.raises(LakeError, match=r"no vectors of v for seed in .*; run embedding first"):
        read_vectors(lake, "v", ("web", "seed"))


def test_batches_that_are_all_empty_are_no_vectors(lake: Lake) -> None:
    write_vectors(lake, pairs=0)
    with pytest.raises(LakeError, match="no vectors of v for web"):
        read_vectors(lake, "v", ("web",))


def test_a_key_is_held_out_whatever_stands_beside_it() -> None:
    keys = [rows.key_of(str(n)) for n in range(2003)]
    outside = held_out(keys, 0.1)
    assert [bool(held_out([key], 0.1)[0]) for key in keys] == outside.tolist()
    # 2003 draws with p = 0.1: the standard deviation is 13.
    assert int(outside.sum()) == pytest.approx(200, abs=4 * 13.5)
    assert bool((held_out(keys, 0.3) >= outside).all())
