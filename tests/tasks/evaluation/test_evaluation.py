"""An evaluation scores what a model writes and finds, beside what needs no model at all."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from models.blip import Blip
from models.decoding import Decoding
from models.matcher import score_texts
from models.preprocessing import pixels_for
from models.presets import preset
from models.tokenization import Tokenizer
from tasks import rows
from tasks.checkpoints import load_model, save_checkpoint
from tasks.errors import InputError, LakeError
from tasks.evaluation.baselines import drawn_texts, nearest
from tasks.evaluation.gallery import Gallery, evaluation_gallery, gallery_of
from tasks.evaluation.report import compare, read_report
from tasks.evaluation.retrieval import (
    chance_measures,
    match_pairs,
    recall_measures,
    reranked,
    shortlist,
)
from tasks.evaluation.settings import Evaluation
from tasks.evaluation.stage import evaluate
from tasks.metrics.bleu import corpus_bleu
from tasks.metrics.tokens import words
from tasks.pictures import Picture, read_pictures
from tasks.storage import Lake
from tests.small_lake import caption_of, picture_key, write_lake, write_selection

HOW = Evaluation(
    decoding=Decoding(method="greedy", max_length=9),
    rerank_k=3,
    bootstrap=50,
    batch_size=4,
)
N = 11


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Eleven evaluated pictures, and a training batch of the same colours and captions."""
    root = tmp_path_factory.mktemp("evaluation") / "lake"
    write_lake(root, batch="evaluation", counts=(7, 4), source="human")
    lake = write_lake(root, batch="web", counts=(7,))
    write_selection(lake, "kept", "web")
    for run, seed in (("a", 3), ("b", 5)):
        texts = [caption_of(number) for number in range(N)]
        tokenizer = Tokenizer.train(texts, 90)
        model = Blip(preset("test"), tokenizer.vocab_size, seed=seed)
        facts = {"selections": {"kept": "digest"}}
        save_checkpoint(lake, run, 1, model, tokenizer, facts)
    return lake


def test_the_report_says_what_its_rows_say(lake: Lake) -> None:
    report = evaluate(lake, "one", "checkpoints/a", how=HOW)
    assert (report.images, report.texts) == (N, N)
    table = rows.read_rows(lake, "evaluations/one/captions.parquet").to_pylist()
    assert [row["key"] for row in table] == sorted(picture_key("evaluation", i) for i in range(N))
    captions = [words(row["caption"]) for row in table]
    references = [[words(text) for text in row["references"]] for row in table]
    assert report.scores["bleu_4"].value == pytest.approx(corpus_bleu(captions, references)[3])
    for name in ("rouge_l", "cider_d", "itm_tr_r5", "itc_ir_r1", "self_r1"):
        sums = np.array([row[name] for row in table]).sum(axis=0)
        assert report.scores[name].value == pytest.approx(sums[0] / sums[1])
        assert report.scores[name].low <= report.scores[name].value <= report.scores[name].high
    assert read_report(lake, "one") == report
    assert report.numbers()["nearest.cider_d"] == report.baselines["nearest"]["cider_d"].value


def test_the_nearest_picture_lends_the_caption_of_its_colour(lake: Lake) -> None:
    report = evaluate(lake, "one", "checkpoints/a", how=HOW)
    table = rows.read_rows(lake, "evaluations/one/captions.parquet").to_pylist()
    number = {picture_key("evaluation", i): i for i in range(N)}
    for row in table:
        # Training has the seven colours once each, all of them squares.
        assert row["nearest_caption"] == caption_of(number[row["key"]] % 7)
    # The first seven evaluated pictures are squares too.
    assert report.baselines["nearest"]["exact_match"].value == pytest.approx(7 / N)
    by_chance = report.baselines["chance"]
    assert by_chance["itc_tr_r1"].value == by_chance["itm_tr_r1"].value == pytest.approx(1 / N)
    assert by_chance["itm_ir_r5"].value == pytest.approx(5 / N)
    assert by_chance["cider_d"].value < report.baselines["nearest"]["cider_d"].value


def test_scores_do_not_depend_on_the_batch_size(lake: Lake) -> None:
    one = evaluate(lake, "one", "checkpoints/a", how=HOW)
    other = evaluate(lake, "narrow", "checkpoints/a", how=dataclasses.replace(HOW, batch_size=3))
    for name, score in one.scores.items():
        assert other.scores[name].value == pytest.approx(score.value), name


def test_captions_longer_than_the_model_writes_are_refused(lake: Lake) -> None:
    how = dataclasses.replace(HOW, decoding=Decoding(max_length=33))
    with pytest.raises(InputError, match=r"^decoding.max_length is 33, but .* has 32 positions"):
        evaluate(lake, "long", "checkpoints/a", how=how)
    assert not lake.exists("evaluations/long")


def test_a_finished_evaluation_is_read_and_one_of_other_weights_is_done_again(lake: Lake) -> None:
    first = evaluate(lake, "again", "checkpoints/a", how=HOW)
    path = Path(lake.path("evaluations/again/metrics.json"))
    written = path.stat().st_mtime_ns
    assert evaluate(lake, "again", "checkpoints/a", how=HOW) == first
    assert path.stat().st_mtime_ns == written
    other = evaluate(lake, "again", "checkpoints/b", how=HOW)
    assert other.model != first.model


def test_models_are_compared_picture_by_picture(lake: Lake) -> None:
    one = evaluate(lake, "one", "checkpoints/a", how=HOW)
    two = evaluate(lake, "two", "checkpoints/b", how=HOW)
    found = compare(lake, one, two)
    assert found.keys() == one.scores.keys()
    for name, change in found.items():
        assert change.difference.value == pytest.approx(
            two.scores[name].value - one.scores[name].value
        )
    fewer = evaluate(lake, "fewer", "checkpoints/b", how=dataclasses.replace(HOW, max_images=5))
    assert fewer.images == 5
    with pytest.raises(InputError, match="different pictures"):
        compare(lake, one, fewer)


def test_a_duplicate_and_a_picture_without_words_are_not_evaluated(tmp_path: Path) -> None:
    lake = write_lake(tmp_path / "lake", batch="evaluation", counts=(5,))
    twin = picture_key("evaluation", 2)
    seen = picture_key("evaluation", 3)
    listed = [
        {"key": twin, "keeper": picture_key("evaluation", 1), "keeper_batch": "evaluation"},
        {"key": seen, "keeper": picture_key("web", 1), "keeper_batch": "web"},
    ]
    rows.write_rows(
        lake,
        "duplicates/ingestion/evaluation/00000.parquet",
        rows.table_of(listed, rows.DUPLICATES),
    )
    keys = [picture.key for picture in evaluation_gallery(lake, "evaluation").pictures]
    assert keys == sorted(picture_key("evaluation", i) for i in (0, 1, 3, 4))
    empty = write_lake(tmp_path / "other", batch="evaluation", counts=(0,))
    with pytest.raises(LakeError, match="no picture with a caption"):
        evaluation_gallery(empty, "evaluation")


def test_the_matching_head_reads_each_wanted_pair_as_it_would_alone(lake: Lake) -> None:
    loaded = load_model(lake, "checkpoints/a")
    gallery = evaluation_gallery(lake, "evaluation")
    wanted = torch.zeros(N, N, dtype=torch.bool)
    wanted[2, [1, 5, 7]] = wanted[6, 0] = True
    found = match_pairs(lake, loaded, gallery, wanted, 4, 35)
    assert torch.isnan(found).logical_not().equal(wanted)
    for image, text in wanted.nonzero().tolist():
        pixels = pixels_for(
            loaded.model.shape.vision, read_pictures(lake, [gallery.pictures[image]], 16)
        )
        ((alone,),) = score_texts(loaded.model, loaded.tokenizer, pixels, [[gallery.texts[text]]])
        assert found[image, text].item() == pytest.approx(alone.itm_logit, abs=1e-4)


def test_the_shortlist_holds_the_best_of_each_row_and_of_each_column() -> None:
    cosines = torch.tensor([[0.9, 0.8, 0.1], [0.7, 0.2, 0.3]])
    rows_best, columns_best = shortlist(cosines, 1)
    assert rows_best.tolist() == [[True, False, False], [True, False, False]]
    assert columns_best.tolist() == [[True, True, False], [False, False, True]]


def test_reranking_orders_the_shortlist_and_leaves_the_rest_below_it_in_order() -> None:
    cosines = torch.tensor([[0.9, 0.8, 0.1, 0.2]])
    marked = torch.tensor([[True, True, False, False]])
    logits = torch.tensor([[-40.0, -30.0, torch.nan, torch.nan]], dtype=torch.float64)
    scores = reranked(cosines, logits, marked)[0]
    assert scores.argsort(descending=True).tolist() == [1, 0, 3, 2]
    assert scores[1].item() == pytest.approx(-30 + 0.8)


def shared_gallery() -> Gallery:
    """Three pictures; the first two share a caption."""
    pictures = [Picture(f"k{n}", "no.tar", 0, 0) for n in range(3)]
    return gallery_of(pictures, [["a cat", "a red cat"], ["a cat"], ["a dog", "one dog"]])


def test_a_text_that_two_pictures_have_is_right_for_both() -> None:
    gallery = shared_gallery()
    assert gallery.texts == ["a cat", "a red cat", "a dog", "one dog"]
    scores = torch.tensor([[0.9, 0.1, 0.2, 0.3], [0.8, 0.7, 0.0, 0.0], [0.9, 0.0, 0.1, 0.2]])
    to_text = recall_measures(scores, gallery, "tr", 1)["tr_r1"]
    assert to_text.rows[:, 0].tolist() == [1, 1, 0]
    to_image = recall_measures(scores, gallery, "ir", 0)["ir_r1"]
    # "a cat": image 0 ties with the wrong image 2 and both beat image 1: half of the orders.
    # "a red cat": image 1 is taken for 0. "a dog" and "one dog": image 0 is taken for 2.
    assert to_image.rows.tolist() == [[0.5, 2], [0.5, 1], [0, 2]]


def test_chance_is_the_share_of_right_candidates() -> None:
    gallery = shared_gallery()
    found = chance_measures(gallery)
    assert found["itm_tr_r1"].rows[:, 0].tolist() == pytest.approx([2 / 4, 1 / 4, 2 / 4])
    # Each caption asks among three images; "a cat" has two right ones.
    assert found["itc_ir_r1"].rows[:, 0].tolist() == pytest.approx([2 / 3 + 1 / 3, 2 / 3, 2 / 3])


def test_a_random_caption_is_a_matter_of_the_picture_alone() -> None:
    texts = [f"text {n}" for n in range(23)]
    whole = drawn_texts(texts, ["k1", "k2", "k3"], 0)
    assert drawn_texts(texts, ["k3"], 0) == whole[2:]
    assert drawn_texts(texts, ["k1", "k2", "k3"], 1) != whole


def test_the_nearest_row_is_the_one_at_the_smallest_distance() -> None:
    candidates = torch.tensor([[0.0, 0], [1, 1], [5, 5]])
    assert nearest(torch.tensor([[0.9, 0.8], [9, 9], [0.1, 0]]), candidates) == [1, 2, 0]


def test_settings_that_measure_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="bootstrap is 1 or more, not 0"):
        Evaluation(bootstrap=0)
    with pytest.raises(InputError, match="max_images"):
        Evaluation(max_images=-1)


@pytest.mark.parametrize("content", [b"", b'{"scores": {}}', b"[]", b'{"scores": {}, "new": 1}'])
def test_a_report_that_cannot_be_read_is_refused_in_one_line(lake: Lake, content: bytes) -> None:
    lake.publish_bytes("evaluations/broken/metrics.json", content)
    with pytest.raises(LakeError, match=r"is damaged, or of another version.*evaluate again"):
        read_report(lake, "broken")


def test_a_report_of_before_there_were_other_tasks_is_read(lake: Lake) -> None:
    evaluate(lake, "one", "checkpoints/a", how=HOW)
    older = lake.read_json("evaluations/one/metrics.json")
    del older["task"], older["leakage"]["unknown"]
    lake.publish_json("evaluations/older/metrics.json", older)
    assert read_report(lake, "older").scores == read_report(lake, "one").scores
