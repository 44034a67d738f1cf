"""A selection decides about every caption by its policy, says why, and can be made again."""

from pathlib import Path
from typing import Any

import pytest

from tasks.errors import InputError, LakeError
from tasks.selection import Selection, Thresholds, main, select
from tasks.storage import Lake, Shard
from tests.lakes import CAPTIONER, FILTER, caption_id, key_of, new_lake, speckled, write_batch
from tests.selecting import (
    ALSO_GOOD,
    GOOD,
    blip,
    one_text,
    selected_sources,
    table,
    with_synthetic,
)


def test_web_and_synthetic_texts_are_judged_apart_so_none_one_or_two_survive(lake: Lake) -> None:
    pictures = [
        with_synthetic("both", 0.7, 0.8),
        with_synthetic("web", 0.5, 0.49),
        with_synthetic("synthetic", 0.1, 0.6),
        with_synthetic("none", 0.2, 0.3),
    ]
    write_batch(lake, "web", pictures)
    assert selected_sources(lake, blip(), "both") == ["synthetic", "web"]
    assert selected_sources(lake, blip(), "web") == ["web"]
    assert selected_sources(lake, blip(), "synthetic") == ["synthetic"]
    assert selected_sources(lake, blip(), "none") == []


def test_a_decision_says_rule_version_value_threshold_and_order(lake: Lake) -> None:
    write_batch(lake, "web", [one_text("wrong", itm=0.25), one_text("right")])
    card = select(lake, blip(caption_runs=()))
    found = table(lake, "decisions", card.id)
    assert [d["rule"] for d in found] == ["itm_probability"]
    (decision,) = found
    assert decision == {
        "caption_id": caption_id("web", "wrong"),
        "key": key_of("web", "wrong"),
        "batch": "web",
        "shard": "00000",
        "selection": card.id,
        "rule": "itm_probability",
        "version": 1,
        "reason": "itm_mismatch",
        "signal": "itm_probability",
        "value": 0.25,
        "threshold": 0.5,
        "order": 81,
        "verdict": "drop",
    }


def test_every_caption_is_selected_or_dropped_and_shards_say_how_many(lake: Lake) -> None:
    pictures = [with_synthetic(f"p{n}", n / 13, 1 - n / 13) for n in range(13)]
    write_batch(lake, "web", pictures, per_shard=5)
    card = select(lake, blip(thresholds=Thresholds(repeated_count=100)))
    assert card.counts["captions"] == 26
    counts = [lake.commit_of("selection", card.id, s).rows for s in lake.planned("web")]
    assert [c["captions"] for c in counts] == [10, 10, 6]
    assert all(c["captions"] == c["selected"] + c["dropped"] for c in counts)
    selected = {row["caption_id"] for row in table(lake, "selections", card.id)}
    dropped = {
        row["caption_id"] for row in table(lake, "decisions", card.id) if row["verdict"] == "drop"
    }
    assert not selected & dropped
    assert len(selected | dropped) == 26


def test_the_same_choice_has_one_id_and_another_threshold_has_another(lake: Lake) -> None:
    write_batch(lake, "web", [with_synthetic("both", 0.7, 0.8)])
    first = select(lake, blip())
    assert select(lake, blip()) == first
    other = select(lake, blip(thresholds=Thresholds(itm_probability=0.75)))
    assert other.id != first.id
    assert other.digest != first.digest
    same_rows = select(lake, blip(thresholds=Thresholds(itm_probability=0.6)))
    assert same_rows.id != first.id
    assert same_rows.digest == first.digest


def test_other_captions_under_the_same_settings_are_another_selection(tmp_path: Path) -> None:
    lakes = [new_lake(tmp_path / name) for name in ("one", "two")]
    for lake, text in zip(lakes, (GOOD, ALSO_GOOD), strict=True):
        write_batch(lake, "web", [one_text("picture", text)])
    ids = [select(lake, blip(caption_runs=())).id for lake in lakes]
    assert ids[0] != ids[1]


def test_a_selection_killed_before_its_card_is_made_again_alike(lake: Lake) -> None:
    write_batch(lake, "web", [with_synthetic("both", 0.7, 0.8)])
    first = select(lake, blip())
    lake.fs.rm(lake.path(f"selections/{first.id}/selection.json"))
    again = select(lake, blip())
    assert (again.id, again.digest, again.counts) == (first.id, first.digest, first.counts)


def test_a_policy_that_keeps_nothing_says_why_and_writes_nothing(lake: Lake) -> None:
    write_batch(lake, "web", [one_text("wrong", itm=0.1)])
    with pytest.raises(InputError, match=r"none of 1 captions; most are dropped as itm_mismatch"):
        select(lake, blip(caption_runs=()))
    assert lake.folders("selections") == []


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"policy": "blip", "batches": ("web",)}, "score_run"),
        ({"policy": "pmi", "batches": ("web",), "score_run": FILTER}, "rbm_run"),
        ({"policy": "raw"}, "at least one batch"),
    ],
)
def test_what_a_policy_needs_is_asked_for(lake: Lake, how: dict[str, Any], said: str) -> None:
    write_batch(lake, "web", [one_text("one")])
    with pytest.raises(InputError, match=said):
        select(lake, Selection(**how))


def test_a_run_that_does_not_exist_or_is_half_done_is_refused(lake: Lake) -> None:
    write_batch(lake, "web", [with_synthetic(f"p{n}", 0.9, 0.9) for n in range(7)], per_shard=4)
    with pytest.raises(LakeError, match="runs there: scores-test"):
        select(lake, blip(score_run="scores-typo"))
    lake.fs.rm(lake.path(lake.rows("scores", FILTER, Shard("web", "00001"))))
    with pytest.raises(LakeError, match="lack 1 of 2 shards of batch web, the first is 00001"):
        select(lake, blip())


def test_texts_of_a_shard_in_quarantine_are_dropped_as_not_scored(lake: Lake) -> None:
    write_batch(lake, "web", [with_synthetic(f"p{n}", 0.9, 0.9) for n in range(7)], per_shard=4)
    spoilt = Shard("web", "00001")
    for table_of, run, stage in (
        ("captions", CAPTIONER, "captioning"),
        ("scores", FILTER, "scoring"),
    ):
        lake.fs.rm(lake.path(lake.rows(table_of, run, spoilt)))
        lake.fs.rm(lake.path(lake.commit_path(stage, run, spoilt)))
        lake.commit("quarantine", run, spoilt, files=[], rows={"failed": 1}, seconds=0)
    card = select(lake, blip())
    assert card.counts == {"captions": 4 * 2 + 3, "selected": 4 * 2, "dropped": 3}
    assert [reason["reason"] for reason in card.reasons] == ["not_scored"]


def test_a_batch_whose_ingestion_is_unfinished_is_refused(lake: Lake) -> None:
    write_batch(lake, "web", [one_text(f"p{n}") for n in range(3)], per_shard=2)
    lake.fs.rm(lake.path(lake.commit_path("ingestion", "ingestion", Shard("web", "00001"))))
    with pytest.raises(LakeError, match="1 of 2 shards not yet ingested"):
        select(lake, Selection(policy="raw", batches=("web",)))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("itm_probability", 1.5), ("leakage_distance", 4), ("min_words", -1), ("min_words", 81)],
)
def test_a_threshold_that_makes_no_sense_is_refused(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=setting):
        Thresholds(**{setting: value})  # type: ignore[arg-type]


def test_an_unknown_policy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="blip, blip2, concept_cap, datacomp_basic"):
        Selection(policy="blop")


def test_the_command_selects(lake: Lake) -> None:
    write_batch(lake, "web", [one_text("one"), one_text("two", ALSO_GOOD)])
    main([lake.root, "--batch", "web", "--policy", "raw"])
    (made,) = lake.folders("selections")
    assert lake.read_json(f"selections/{made}/selection.json")["counts"]["selected"] == 2


def test_pictures_of_different_names_are_different() -> None:
    assert (speckled("one") != speckled("two")).any()
