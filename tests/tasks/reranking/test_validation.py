"""Weights are chosen on one half of the pictures, for a judge that had no part in the scores."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.blip import Blip
from models.decoding import Decoding
from models.presets import preset
from models.reranking import chosen
from models.tokenization import Tokenizer
from tasks import rows
from tasks.capfilt.settings import CapFilt
from tasks.capfilt.stage import caption_shard, score_shard
from tasks.checkpoints import load_model, save_checkpoint
from tasks.commands import run_command
from tasks.errors import InputError
from tasks.pictures import shard_pictures
from tasks.reranking.__main__ import main
from tasks.reranking.candidates import read_candidates
from tasks.reranking.stage import Reranking, Weights, rerank
from tasks.reranking.validation import judged, refuse_participant, validate_weights
from tasks.storage import Lake, Shard
from tasks.vectors import held_out
from tests.small_lake import NAMES, SHAPES, picture_key, write_lake

SHARD = Shard("web", "00000")
WRITER, FILTER, JUDGE = (f"checkpoints/{name}/00000001" for name in ("writer", "filter", "judge"))
PICTURES = 131
JUDGED = Reranking(caption_runs=("drawn",), score_run="scores")


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Pictures captioned and scored by models that nobody has trained."""
    lake = write_lake(tmp_path_factory.mktemp("lake"), counts=(PICTURES,))
    tokenizer = Tokenizer.train([f"a {name} {shape}" for name in NAMES for shape in SHAPES], 90)
    for seed, run in enumerate(("writer", "filter", "judge")):
        model = Blip(preset("test"), tokenizer.vocab_size, seed)
        save_checkpoint(lake, run, 1, model, tokenizer, {"seed": seed})
    how = CapFilt(captions_per_image=3, decoding=Decoding(max_length=9, min_length=2))
    caption_shard(lake, "drawn", SHARD, WRITER, how)
    score_shard(lake, "scores", SHARD, ("drawn",), FILTER, how)
    return lake


def ranked(lake: Lake, run: str) -> list[dict[str, Any]]:
    return list(rows.read_rows(lake, lake.rows("scores", run, SHARD)).to_pylist())


def test_weights_do_not_depend_on_the_scores_of_the_half_that_reports(captioned: Lake) -> None:
    before = validate_weights(captioned, "web", JUDGED, JUDGE)
    path = captioned.rows("scores", "scores", SHARD)
    original = captioned.read_bytes(path)
    scores = rows.read_rows(captioned, path).to_pylist()
    for row in scores:
        if not held_out([row["key"]], 0.5)[0]:
            row["itm_probability"], row["itc_cosine"] = 0.25, -row["itc_cosine"]
    try:
        rows.write_rows(captioned, path, rows.table_of(scores, rows.SCORES))
        after = validate_weights(captioned, "web", JUDGED, JUDGE)
    finally:
        captioned.publish_bytes(path, original)
    assert after["weights"] == before["weights"]
    assert after["validation"] == before["validation"]
    assert after["test"] != before["test"]
    assert sum(before["weights"].values()) == pytest.approx(1)
    assert before["weights"]["pmi"] == 0  # no RBM was named


def test_the_reported_shares_are_those_of_the_judges_hits(captioned: Lake) -> None:
    facts = validate_weights(captioned, "web", JUDGED, JUDGE)
    found = read_candidates(captioned, [SHARD], JUDGED.caption_runs, JUDGED.score_run)
    stored = {picture.key: picture for picture in shard_pictures(captioned, SHARD)}
    pictures = [stored[key] for key in found.keys]
    hits = judged(captioned, load_model(captioned, JUDGE), pictures, found, {}).hit
    half = held_out(found.keys, 0.5)
    for name, which in (("validation", half), ("test", ~half)):
        own = hits[which]
        assert facts[name]["pictures"] == int(which.sum())
        assert facts[name]["first"] == pytest.approx(float(own[:, 0].mean()))
        assert facts[name]["random"] == pytest.approx(float(own.mean()))
        assert facts[name]["best"] == pytest.approx(float(own.max(1).values.mean()))
        assert facts[name]["chosen"] <= facts[name]["best"]
    how = replace(JUDGED, weights=Weights(**facts["weights"]))
    rerank(captioned, "by-hand", "web", how, facts)
    places = torch.tensor([row["rerank_place"] for row in ranked(captioned, "by-hand")])
    choice = (places.reshape(PICTURES, 3) == 1).long().argmax(1)
    assert float(chosen(hits, choice)[~half].mean()) == pytest.approx(facts["test"]["chosen"])


def test_pictures_without_a_score_are_left_out_and_counted(captioned: Lake) -> None:
    """As an RBM leaves them whose picture's vector holds NaN: all its candidates have no PMI."""
    scores = ranked(captioned, "scores")
    lost = {row["key"] for row in scores[: 3 * 17]}
    for row in scores:
        row |= {"itm_probability": None, "itc_cosine": None, "run": "rbm"}
        row["rbm_pmi"] = None if row["key"] in lost else float(len(row["caption_id"]))
    path = captioned.rows("scores", "rbm", SHARD)
    rows.write_rows(captioned, path, rows.table_of(scores, rows.SCORES))
    captioned.publish_json("rbms/rbm/rbm.json", {"vectors": "of-nobody"})
    facts = validate_weights(captioned, "web", replace(JUDGED, rbm_run="rbm"), JUDGE)
    assert facts["left_out"] == len(lost) == 17
    assert facts["validation"]["pictures"] + facts["test"]["pictures"] == PICTURES - 17
    for row in scores:
        row["rbm_pmi"] = None
    rows.write_rows(captioned, path, rows.table_of(scores, rows.SCORES))
    with pytest.raises(InputError, match="0 of 131 pictures have a candidate with every score"):
        validate_weights(captioned, "web", replace(JUDGED, rbm_run="rbm"), JUDGE)


@pytest.mark.parametrize("participant", [WRITER, FILTER])
def test_a_judge_that_took_part_is_refused(captioned: Lake, participant: str) -> None:
    with pytest.raises(InputError, match="took part in writing or scoring"):
        validate_weights(captioned, "web", JUDGED, participant)


def test_a_participant_under_another_address_is_known_by_its_weights(captioned: Lake) -> None:
    shutil.copytree(captioned.path(FILTER), captioned.path("checkpoints/renamed/00000001"))
    with pytest.raises(InputError, match=r"renamed.* took part in writing or scoring"):
        validate_weights(captioned, "web", JUDGED, "checkpoints/renamed/00000001")


def test_the_model_whose_vectors_the_rbm_was_fitted_on_took_part_too(captioned: Lake) -> None:
    name = load_model(captioned, JUDGE).name
    captioned.publish_json("rbms/of-the-judge/rbm.json", {"vectors": "by-the-judge"})
    captioned.publish_json("rbms/of-another/rbm.json", {"vectors": "by-another"})
    for run, model in (("by-the-judge", name), ("by-another", "checkpoints/filter/1#77")):
        versions = {"model": model}
        captioned.commit("embedding", run, SHARD, files=[], rows={}, seconds=0, versions=versions)
    refuse_participant(captioned, name, [SHARD], replace(JUDGED, rbm_run="of-another"))
    with pytest.raises(InputError, match="took part in writing or scoring"):
        refuse_participant(captioned, name, [SHARD], replace(JUDGED, rbm_run="of-the-judge"))


def test_too_few_pictures_to_be_lost_among_are_one_line(tmp_path: Path, captioned: Lake) -> None:
    lake = write_lake(tmp_path / "few", counts=(7,))
    for run in ("captions/drawn", "scores/scores"):
        path = f"{run}/web/00000.parquet"
        own = {picture_key("web", number) for number in range(7)}
        kept = [r for r in rows.read_rows(captioned, path).to_pylist() if r["key"] in own]
        schema = rows.CAPTIONS if "captions" in run else rows.SCORES
        rows.write_rows(lake, path, rows.table_of(kept, schema))
    uri = captioned.path(JUDGE)
    with pytest.raises(InputError, match=r"batch web cannot tell weights: 100 distractors"):
        validate_weights(lake, "web", JUDGED, uri)


def test_the_command_ranks_a_batch_and_its_card_says_by_which_weights(captioned: Lake) -> None:
    arguments = [captioned.root, "--batch", "web", "--captions", "drawn", "--scores", "scores"]
    assert run_command(main, [*arguments, "--judge", JUDGE]) == 0
    assert run_command(main, [*arguments, "--weights", "itc=1"]) == 0
    cards = [captioned.read_json(path) for path in captioned.glob("rerankings/*-*/web.json")]
    by_judge = next(card for card in cards if card["validation"].get("judge"))
    given = next(card for card in cards if not card["validation"] and card["run"] != "by-hand")
    assert by_judge["how"]["weights"] == by_judge["validation"]["weights"]
    assert given["how"]["weights"] == {"lm": 0, "itm": 0, "itc": 1, "pmi": 0}
    assert given["counts"]["candidates"] == 3 * PICTURES
    scores = {r["caption_id"]: r["itc_cosine"] for r in ranked(captioned, "scores")}
    best: dict[str, float] = {}
    for row in ranked(captioned, given["run"]):
        best[row["key"]] = max(best.get(row["key"], -1.0), scores[row["caption_id"]])
    for row in ranked(captioned, given["run"]):
        if row["rerank_place"] == 1:
            assert scores[row["caption_id"]] == best[row["key"]]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"--captions": "nobody"}, "captions/nobody/web/00000.parquet is missing"),
        ({"--scores": "nobody"}, "scores/nobody/web/00000.parquet is missing"),
        ({"--batch": "wab"}, "batch 'wab' has no plan in"),
        ({"--weights": "pmi=1"}, "name the RBM's scores in rbm_run"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    captioned: Lake, change: dict[str, str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = captioned.folders("scores"), captioned.folders("rerankings")
    options = {"--batch": "web", "--captions": "drawn", "--scores": "scores"}
    options |= {"--weights": "itm=1", **change}
    words = [word for option in options.items() for word in option]
    assert run_command(main, [captioned.root, *words]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert (captioned.folders("scores"), captioned.folders("rerankings")) == before
