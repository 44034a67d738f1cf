"""Of a picture's cached candidates the best by its terms comes first, and its row says why."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.reranking.__main__ import weights_from
from tasks.reranking.stage import Weights, rerank_shard
from tasks.storage import Lake, Shard
from tests.planted_candidates import HOW, SHARD, planted
from tests.small_lake import picture_key


def ranked(lake: Lake, run: str = "r", shard: Shard = SHARD) -> list[dict[str, Any]]:
    return list(rows.read_rows(lake, lake.rows("scores", run, shard)).to_pylist())


def test_the_score_is_the_weighted_sum_of_z_scores_and_every_part_is_told(tmp_path: Path) -> None:
    lake = planted(tmp_path)
    commit = rerank_shard(lake, "r", SHARD, HOW)
    found = ranked(lake)
    # Of two candidates one has z-score 1 and the other -1. Picture 0: the mean log-probabilities
    # are -2 and -4, so the first has the likelier words and loses everything else.
    wanted = {
        ("beam", 0): (0.1, -0.2, -0.3, -0.4),
        ("drawn", 0): (-0.1, 0.2, 0.3, 0.4),
        ("beam", 1): (0.1, 0.2, 0.3, 0.4),
        ("drawn", 1): (-0.1, -0.2, -0.3, -0.4),
    }
    ids = {
        rows.caption_id_of(picture_key("web", picture), "synthetic", run, 0): (run, picture)
        for run, picture in wanted
    }
    assert len(found) == 4
    for row in found:
        parts = wanted[ids[row["caption_id"]]]
        assert [row[f"{t}_part"] for t in ("lm", "itm", "itc", "pmi")] == pytest.approx(parts)
        assert row["rerank_score"] == pytest.approx(sum(parts))
        assert row["rerank_place"] == (1 if sum(parts) > 0 else 2)
        assert (row["run"], row["batch"], row["shard"]) == ("r", "web", "00000")
        assert row["itm_probability"] is None
    assert commit.rows == {"pictures": 2, "candidates": 4, "unplaced": 0, "changed": 1}


def test_only_the_proportions_of_weights_matter(tmp_path: Path) -> None:
    lake = planted(tmp_path)
    rerank_shard(lake, "r", SHARD, HOW)
    doubled = Weights(lm=0.2, itm=0.4, itc=0.6, pmi=0.8)
    rerank_shard(lake, "twice", SHARD, replace(HOW, weights=doubled))
    for one, other in zip(ranked(lake), ranked(lake, "twice"), strict=True):
        assert one["rerank_score"] == pytest.approx(other["rerank_score"])


def test_a_candidate_without_a_score_that_counts_has_no_place_and_is_counted(
    tmp_path: Path,
) -> None:
    lake = planted(tmp_path, pmi=None)
    commit = rerank_shard(lake, "r", SHARD, HOW)
    assert commit.rows["unplaced"] == 1
    missing = [row for row in ranked(lake) if row["rerank_place"] is None]
    assert [row["caption_id"] for row in missing] == [
        rows.caption_id_of(picture_key("web", 0), "synthetic", "drawn", 0)
    ]
    assert missing[0]["rerank_score"] is None
    assert missing[0]["pmi_part"] is None
    # Where PMI does not count it is not asked for.
    rerank_shard(lake, "without", SHARD, replace(HOW, rbm_run="", weights=Weights()))
    assert {row["rerank_place"] for row in ranked(lake, "without")} == {1, 2}


def test_probabilities_of_zero_and_one_do_not_drown_the_others(tmp_path: Path) -> None:
    lake = planted(tmp_path)
    path = lake.rows("scores", "filter", SHARD)
    scores = rows.read_rows(lake, path).to_pylist()
    for row, probability in zip(scores, (0.0, 1.0, 1.0, 0.0), strict=True):
        row["itm_probability"] = probability
    rows.write_rows(lake, path, rows.table_of(scores, rows.SCORES))
    rerank_shard(lake, "r", SHARD, HOW)
    assert all(math.isfinite(row["rerank_score"]) for row in ranked(lake))
    assert sorted(abs(row["itm_part"]) for row in ranked(lake)) == pytest.approx([0.2] * 4)


def test_a_committed_shard_is_left_alone_and_an_empty_one_is_committed(tmp_path: Path) -> None:
    lake = planted(tmp_path)
    first = rerank_shard(lake, "r", SHARD, HOW)
    lake.local_path(lake.rows("captions", "beam", SHARD)).unlink()  # it would be missed
    assert rerank_shard(lake, "r", SHARD, HOW) == first
    empty = Shard("web", "00009")
    for run in HOW.caption_runs:
        path = lake.rows("captions", run, empty)
        rows.write_rows(lake, path, rows.table_of([], rows.CAPTIONS))
    for run in ("filter", "rbm"):
        rows.write_rows(lake, lake.rows("scores", run, empty), rows.table_of([], rows.SCORES))
    assert rerank_shard(lake, "r", empty, HOW).rows["candidates"] == 0


def test_a_candidate_that_was_not_scored_stops_the_ranking(tmp_path: Path) -> None:
    lake = planted(tmp_path)
    path = lake.rows("scores", "rbm", SHARD)
    table = rows.read_rows(lake, path)
    rows.write_rows(lake, path, table.slice(0, 3))
    with pytest.raises(LakeError, match=r"1 of 4 candidates .* have no score in run rbm"):
        rerank_shard(lake, "r", SHARD, HOW)
    assert not lake.exists(lake.rows("scores", "r", SHARD))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"score_run": "rbm"}, "run rbm holds rbm_pmi of shard web/00000 and no itm_probability"),
        ({"rbm_run": "filter"}, "run filter holds itc_cosine, itm_probability of .* no rbm_pmi;"),
    ],
)
def test_a_run_that_holds_other_scores_is_not_ranked_by(
    tmp_path: Path, change: dict[str, Any], line: str
) -> None:
    lake = planted(tmp_path)
    with pytest.raises(LakeError, match=line):
        rerank_shard(lake, "r", SHARD, replace(HOW, **change))
    assert not lake.exists(lake.rows("scores", "r", SHARD))


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [("captions/beam", "lm_logprob", "1 of lm"), ("scores/rbm", "rbm_pmi", "1 of pmi")],
)
def test_an_infinite_score_is_told(tmp_path: Path, path: str, name: str, said: str) -> None:
    lake = planted(tmp_path)
    where = f"{path}/web/00000.parquet"
    table = rows.read_rows(lake, where).to_pylist()
    table[0][name] = -math.inf
    schema = rows.CAPTIONS if path.startswith("captions") else rows.SCORES
    rows.write_rows(lake, where, rows.table_of(table, schema))
    with pytest.raises(LakeError, match=rf"scores of web/00000 are infinite \({said}\)"):
        rerank_shard(lake, "r", SHARD, HOW)
    assert not lake.exists(lake.rows("scores", "r", SHARD))


def test_found_texts_and_captions_of_an_older_lake_are_no_candidates(tmp_path: Path) -> None:
    lake = planted(tmp_path)
    path = lake.rows("captions", "beam", SHARD)
    rows.write_rows(lake, path, rows.read_rows(lake, path).drop_columns(["n_tokens"]))
    with pytest.raises(LakeError, match=r"2 of 4 candidates .* caption again as another run"):
        rerank_shard(lake, "r", SHARD, HOW)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"caption_runs": ()}, "caption_runs names one run"),
        ({"caption_runs": ("beam", "beam")}, "each once"),
        ({"rbm_run": ""}, "name the RBM's scores in rbm_run"),
        ({"rbm_run": "../rbm"}, "names one folder of the lake, which '../rbm' cannot"),
        ({"caption_runs": ("beam", "be*m")}, "names one folder of the lake, which 'be.m' cannot"),
        ({"score_run": ""}, "names one folder of the lake, which '' cannot"),
    ],
)
def test_settings_check_themselves(change: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        replace(HOW, **change)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("itm=0", "all weights are 0"),
        ("itm=2", "itm is a share from 0 to 1, not 2.0"),
        ("itm", "is no weight"),
        ("itm=much", "is no weight"),
        ("bleu=1", "no term is called 'bleu'"),
        ("itm=1,lm=0.5, itm=0.2", "the weight of itm is given twice"),
        ("itm=nan", "itm is a share"),
    ],
)
def test_weights_that_are_none_are_one_line(text: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        weights_from(text)


def test_weights_are_read_by_name_and_what_is_not_named_counts_nothing() -> None:
    assert weights_from("pmi=0.5, itm=0.25") == Weights(lm=0.0, itm=0.25, itc=0.0, pmi=0.5)
