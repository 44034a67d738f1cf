"""Vectors come back as pairs with their keys, a piece at a time; what cannot be used is refused."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from tasks import rows, vectors
from tasks.errors import InputError, LakeError
from tasks.row_groups import read_footer
from tasks.storage import Lake, Shard
from tasks.vectors import VectorFiles, held_out, open_vectors, pairs_of, read_vectors, vectors_table
from tests.vectors import drawn_vectors, write_sides, write_vectors

FIRST, SECOND = Shard("web", "00000"), Shard("web", "00001")


def whole(files: VectorFiles) -> tuple[torch.Tensor, list[str]]:
    pieces = [piece for group in range(len(files.groups)) for piece in files.pieces(group)]
    return torch.cat([p.pairs for p in pieces]), [key for p in pieces for key in p.keys]


def test_pairs_are_image_then_text_in_the_order_of_shards_and_rows(lake: Lake) -> None:
    write_vectors(lake, pairs=7)
    write_vectors(lake, shard="00001", pairs=3)
    pairs, keys = whole(open_vectors(lake, "v", ("web",)))
    first, second = drawn_vectors(7, seed=0), drawn_vectors(3, seed=1)
    assert np.array_equal(pairs.numpy(), np.vstack([np.hstack(first), np.hstack(second)]))
    assert pairs.dtype == torch.float32
    assert keys == [rows.key_of(f"00000 {n}") for n in range(7)] + [
        rows.key_of(f"00001 {n}") for n in range(3)
    ]


@pytest.mark.parametrize("group", [1, 3, 7])
def test_pieces_do_not_depend_on_how_the_file_is_cut(
    lake: Lake, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_vectors(lake, pairs=7)
    straight, keys = whole(open_vectors(lake, "v", ("web",)))
    path = lake.rows("vectors", "v", FIRST)
    rows.write_rows(lake, path, rows.read_rows(lake, path), group)
    monkeypatch.setattr(vectors, "ROWS_AT_ONCE", 2)
    cut = open_vectors(lake, "v", ("web",))
    assert cut.group_rows == {1: (1,) * 7, 3: (3, 3, 1), 7: (7,)}[group]
    assert max(len(piece.keys) for piece in cut.pieces(0)) <= 2
    pairs, found = whole(cut)
    assert torch.equal(pairs, straight)
    assert found == keys


def test_without_keys_only_vectors_are_read(lake: Lake) -> None:
    write_vectors(lake, pairs=7)
    (piece,) = open_vectors(lake, "v", ("web",)).pieces(0, vectors.SIDES)
    assert piece.keys == []
    assert piece.pairs.shape == (7, 10)


def test_all_at_once_they_are_the_same_without_what_is_not_finite(lake: Lake) -> None:
    images, texts = drawn_vectors(100)
    texts[41, 2], images[7, 1] = np.nan, -np.inf
    write_sides(lake, images, texts, "v", FIRST)
    pairs, keys, dropped = read_vectors(lake, "v", ("web",))
    straight, known = whole(open_vectors(lake, "v", ("web",)))
    kept = [n for n in range(100) if n not in (7, 41)]
    assert dropped == 2
    assert torch.equal(pairs, straight[kept].double())
    assert keys == [known[n] for n in kept]


def test_a_shard_of_which_nothing_was_kept_adds_no_pairs(lake: Lake) -> None:
    write_vectors(lake, pairs=0)
    write_vectors(lake, shard="00001", pairs=3)
    assert open_vectors(lake, "v", ("web",)).group_rows == (3,)
    assert pairs_of(rows.read_rows(lake, lake.rows("vectors", "v", FIRST))).shape == (0, 10)


def test_rows_that_are_written_anew_have_another_digest(lake: Lake) -> None:
    write_vectors(lake, pairs=7)
    write_vectors(lake, shard="00001", pairs=3)
    digest = open_vectors(lake, "v", ("web",)).digest
    assert open_vectors(lake, "v", ("web",)).digest == digest
    images, texts = drawn_vectors(3, seed=1)
    images[1, 2] += 1
    write_sides(lake, images, texts, "v", SECOND)
    assert open_vectors(lake, "v", ("web",)).digest != digest
    path = lake.rows("vectors", "v", SECOND)
    assert read_footer(lake, path).digest == read_footer(lake, path).digest


def test_shards_of_two_models_are_refused_with_both_widths_and_files(lake: Lake) -> None:
    write_vectors(lake, pairs=7)
    write_vectors(lake, shard="00001", pairs=3, width=11)
    with pytest.raises(InputError, match=r"5 wide in .*/00000\.parquet, 11 wide in .*/00001"):
        open_vectors(lake, "v", ("web",))


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([["a"], ["b"], ["c"]], pa.list_(pa.string(), 1)), r"is fixed_size_list<.*string"),
        (pa.array([[1.0], [2.0, 3.0], []], pa.list_(pa.float64())), "is list<"),
        (pa.array([1, 2, 3]), "is int64, wanted is a fixed-size list of floats"),
        (pa.array([[1.0]] * 3, pa.list_(pa.float32(), 1)), "image vectors of 5 columns and text"),
        (None, "is missing, wanted"),
    ],
)
def test_a_column_that_is_no_vector_is_refused_by_its_type(
    lake: Lake, column: pa.Array | None, said: str
) -> None:
    write_vectors(lake, pairs=3)
    path = lake.rows("vectors", "v", FIRST)
    table = rows.read_rows(lake, path).drop_columns(["text_embedding"])
    if column is not None:
        table = table.append_column("text_embedding", column)
    rows.write_rows(lake, path, table)
    with pytest.raises(InputError, match=said):
        open_vectors(lake, "v", ("web",))


def test_floats_of_any_width_are_read(lake: Lake) -> None:
    write_vectors(lake, pairs=3)
    straight, _ = whole(open_vectors(lake, "v", ("web",)))
    path = lake.rows("vectors", "v", FIRST)
    table = rows.read_rows(lake, path)
    for kind, exactly in ((pa.float64(), 0.0), (pa.float16(), 1e-2)):
        column = table["text_embedding"].cast(pa.list_(kind, 5))
        rows.write_rows(lake, path, table.set_column(3, "text_embedding", column))
        pairs, _ = whole(open_vectors(lake, "v", ("web",)))
        assert float((pairs - straight).abs().max()) <= exactly


def test_a_batch_without_vectors_is_named_though_another_has_some(lake: Lake) -> None:
    write_vectors(lake, pairs=7)
    with pytest.raises(LakeError, match=r"no vectors of v for seed in .*; run embedding first"):
        open_vectors(lake, "v", ("web", "seed"))


def test_batches_that_are_all_empty_are_no_vectors(lake: Lake) -> None:
    write_vectors(lake, pairs=0)
    with pytest.raises(LakeError, match="no vectors of v for web"):
        open_vectors(lake, "v", ("web",))


def test_a_file_that_is_no_parquet_is_one_line(lake: Lake) -> None:
    write_vectors(lake, pairs=7)
    lake.local_path(lake.rows("vectors", "v", FIRST)).write_bytes(b"PAR1 no more than that PAR1")
    with pytest.raises(LakeError, match=r"00000\.parquet in .* is not a readable Parquet file"):
        open_vectors(lake, "v", ("web",))


def test_a_key_is_held_out_whatever_stands_beside_it() -> None:
    keys = [rows.key_of(str(n)) for n in range(2003)]
    outside = held_out(keys, 0.1)
    assert [bool(held_out([key], 0.1)[0]) for key in keys] == outside.tolist()
    # 2003 draws with p = 0.1: the standard deviation is 13.
    assert int(outside.sum()) == pytest.approx(200, abs=4 * 13.5)
    assert bool((held_out(keys, 0.3) >= outside).all())


def test_a_table_is_read_back_as_it_was_built() -> None:
    images, texts = drawn_vectors(7)
    named = [{"key": str(n), "caption_id": str(n)} for n in range(7)]
    pairs = pairs_of(vectors_table(named, images, texts))
    assert np.array_equal(pairs.numpy(), np.hstack([images, texts]).astype(np.float64))
