"""Every pair of a shard gets its PMI once, the same whatever is scored beside it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks import pair_scores, rows
from tasks.errors import LakeError, ModelError
from tasks.fitted import load_rbm
from tasks.pair_scores import score_pairs, scored_pairs
from tasks.storage import Lake, Shard, open_lake
from tests.vectors import PAIRS, WIDTH, drawn_vectors, fitted, write_sides, write_vectors

FIRST, SECOND = Shard("web", "00000"), Shard("web", "00001")
SCORES = ("rbm_pmi", "gaussian_pmi", "free_energy")


@pytest.fixture(scope="module")
def fitted_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted") / "lake"
    made = open_lake(str(folder), create=True)
    write_vectors(made)
    fitted(made, "judge")
    return folder


@pytest.fixture
def lake(fitted_once: Path, tmp_path: Path) -> Lake:
    """A copy of the lake with a machine, for each test its own."""
    shutil.copytree(fitted_once, tmp_path / "lake")
    return open_lake(str(tmp_path / "lake"))


def scores_of(lake: Lake, shard: Shard, run: str = "judge") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rows.read_rows(lake, lake.rows("scores", run, shard)).to_pylist()
    return found


def test_each_pair_has_one_row_with_all_scores_in_the_order_of_its_vectors(lake: Lake) -> None:
    write_vectors(lake, shard="00001", pairs=17)
    counted = [score_pairs(lake, "judge", "v", shard).rows for shard in (FIRST, SECOND)]
    assert counted == [{"pairs": PAIRS, "unscored": 0}, {"pairs": 17, "unscored": 0}]
    found = scores_of(lake, SECOND)
    assert [row["caption_id"] for row in found] == [f"00001-{n}" for n in range(17)]
    assert [row["key"] for row in found] == [rows.key_of(f"00001 {n}") for n in range(17)]
    assert {(row["run"], row["batch"], row["shard"]) for row in found} == {
        ("judge", "web", "00001")
    }
    for row in found:
        assert all(np.isfinite(row[name]) for name in SCORES)
        assert row["itm_probability"] is None
        assert row["itc_cosine"] is None


def test_scores_do_not_depend_on_how_many_are_scored_at_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_pairs(lake, "judge", "v", FIRST)
    monkeypatch.setattr(pair_scores, "SCORED_AT_ONCE", 13)
    machine = load_rbm(lake, "judge")
    images, texts = drawn_vectors(PAIRS)
    again = scored_pairs(machine, torch.tensor(np.hstack([images, texts])))
    for row, other in zip(scores_of(lake, FIRST), again, strict=True):
        for name in SCORES:
            assert row[name] == pytest.approx(other[name], abs=1e-4, rel=1e-6)


def test_pairs_that_belong_together_score_above_shuffled_ones(lake: Lake) -> None:
    images, texts = drawn_vectors(PAIRS)
    write_sides(lake, images, np.roll(texts, 1, axis=0), "v", SECOND)
    for shard in (FIRST, SECOND):
        score_pairs(lake, "judge", "v", shard)
    for name in ("rbm_pmi", "gaussian_pmi"):
        right = np.array([row[name] for row in scores_of(lake, FIRST)])
        wrong = np.array([row[name] for row in scores_of(lake, SECOND)])
        assert (right > wrong).mean() > 0.8
        assert right.mean() > 1 > 0 > wrong.mean()


def test_a_shard_that_is_committed_is_not_scored_again(lake: Lake) -> None:
    first = score_pairs(lake, "judge", "v", FIRST)
    assert lake.is_committed("rbm", "judge", FIRST)
    before = lake.read_bytes(lake.rows("scores", "judge", FIRST))
    lake.local_path(lake.rows("vectors", "v", FIRST)).unlink()  # it would be missed
    assert score_pairs(lake, "judge", "v", FIRST) == first
    assert lake.read_bytes(lake.rows("scores", "judge", FIRST)) == before


def test_a_shard_of_which_nothing_was_kept_is_committed_with_no_rows(lake: Lake) -> None:
    write_vectors(lake, shard="00001", pairs=0)
    assert score_pairs(lake, "judge", "v", SECOND).rows == {"pairs": 0, "unscored": 0}
    assert scores_of(lake, SECOND) == []


def test_a_vector_that_is_no_number_has_null_scores_and_is_counted(lake: Lake) -> None:
    images, texts = drawn_vectors(17, seed=1)
    images[3, 1] = np.nan
    write_sides(lake, images, texts, "v", SECOND)
    assert score_pairs(lake, "judge", "v", SECOND).rows == {"pairs": 17, "unscored": 1}
    for at, row in enumerate(scores_of(lake, SECOND)):
        assert all((row[name] is None) == (at == 3) for name in SCORES)


def test_a_score_beyond_what_a_column_holds_is_null_and_counted(lake: Lake) -> None:
    images, texts = drawn_vectors(5)
    texts[3] *= 1e25  # PMI goes with its square
    write_sides(lake, images, texts, "v", SECOND)
    assert score_pairs(lake, "judge", "v", SECOND).rows == {"pairs": 5, "unscored": 1}
    for number, row in enumerate(scores_of(lake, SECOND)):
        assert (row["rbm_pmi"] is None) == (number == 3)
        assert all(row[name] is None or np.isfinite(row[name]) for name in SCORES)


def test_a_shard_without_vectors_is_one_line(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"00001\.parquet is missing in .*; run the stage"):
        score_pairs(lake, "judge", "v", SECOND)
    assert not lake.is_committed("rbm", "judge", SECOND)


def test_vectors_of_another_width_are_refused_with_both_numbers(lake: Lake) -> None:
    write_vectors(lake, run="wide", width=7)
    with pytest.raises(ModelError, match=f"reads {2 * WIDTH} columns, these vectors have 14"):
        score_pairs(lake, "judge", "wide", FIRST)


def embedded(lake: Lake, run: str, shard: Shard, model: str) -> None:
    versions = {"model": model}
    lake.commit("embedding", run, shard, files=[], rows={}, seconds=0, versions=versions)


def test_vectors_of_another_model_are_refused_however_wide_they_are(lake: Lake) -> None:
    embedded(lake, "v", FIRST, "checkpoints/blip/1#1234")
    fitted(lake, "known", updates=1)
    assert load_rbm(lake, "known").embedded_by == ("checkpoints/blip/1#1234",)
    write_vectors(lake, shard="00001", run="other", pairs=7)
    embedded(lake, "other", SECOND, "checkpoints/blip/1#5678")
    with pytest.raises(ModelError, match=r"of checkpoints/blip/1#1234 and those of other are of"):
        score_pairs(lake, "known", "other", SECOND)
    assert not lake.is_committed("rbm", "known", SECOND)
    # The same weights under another address are the same model; who does not say is believed.
    embedded(lake, "other", SECOND, "models:/caplift-blip/2#1234")
    assert score_pairs(lake, "known", "other", SECOND).rows["pairs"] == 7
    write_vectors(lake, shard="00002", run="other", pairs=3)
    assert score_pairs(lake, "known", "other", Shard("web", "00002")).rows["pairs"] == 3


def test_a_machine_that_is_not_there_or_damaged_is_one_line(lake: Lake) -> None:
    with pytest.raises(ModelError, match="there is no fitted RBM nobody"):
        score_pairs(lake, "nobody", "v", FIRST)
    lake.local_path("rbms/judge/rbm.safetensors").write_bytes(b"not tensors at all")
    with pytest.raises(ModelError, match=r"the RBM judge .* is damaged"):
        load_rbm(lake, "judge")
