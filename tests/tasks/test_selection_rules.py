"""Each rule finds its planted offender, and a policy says whether it drops or only flags."""

from collections.abc import Iterable
from typing import Any

import pytest

from sql.statements import names
from tasks import rows
from tasks.database import Database
from tasks.selection import RANKINGS, Selection, Thresholds, policies, select
from tasks.storage import Lake, Shard
from tests.lakes import (
    CAPTIONER,
    FILTER,
    RBM,
    Painted,
    Text,
    key_of,
    write_batch,
    write_duplicates,
)
from tests.selecting import (
    ALSO_GOOD,
    GOOD,
    blip,
    one_text,
    reasons,
    selected_sources,
    table,
    with_synthetic,
)

OFFENDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "min_words": ("Spain 1987", {}),
    "min_chars": ("a b c", {}),
    "max_words": ("word " * 81, {}),
    "filename": ("IMG_2034.jpg", {}),
    "url_text": ("see www.flowers.example for roses", {}),
    "boilerplate": ("click here to enlarge this image", {}),
    "min_alpha_ratio": ("a cat ~~~~~~~~~~~~~ 12 34 56", {}),
    "max_special_ratio": ("a ** cat ** on %% the (( mat )) !!", {}),
    "max_digit_ratio": ("no 123456789 or 987654321", {}),
    "max_char_rep": ("buy now buy now buy now buy now buy now", {}),
    "pii": ("write to jane.doe@mail.example today", {}),
    "not_english": ("ein brauner Hund läuft über die Wiese", {"lang": "de", "lang_conf": 0.9}),
}


@pytest.mark.parametrize("rule", OFFENDERS)
def test_a_text_rule_drops_its_planted_offender_and_flags_it_under_raw(
    lake: Lake, rule: str
) -> None:
    text, signals = OFFENDERS[rule]
    write_batch(lake, "web", [one_text("bad", text, signals=signals), one_text("good")])
    assert reasons(lake, blip(caption_runs=()), "bad")[rule] == "drop"
    assert reasons(lake, blip(caption_runs=()), "good") == {}
    raw = Selection(policy="raw", batches=("web",))
    assert reasons(lake, raw, "bad")[rule] == "flag"
    assert selected_sources(lake, raw, "bad") == ["web"]


PICTURES: dict[str, dict[str, Any]] = {
    "min_side": {"original_width": 199, "original_height": 400},
    "max_aspect_ratio": {"original_width": 1201, "original_height": 400},
    "blank": {"flat_frac": 0.98},
    "low_information": {"entropy": 1.4},
    "blurry": {"lap_var": 14.0, "entropy": 3.1},
}


@pytest.mark.parametrize("rule", PICTURES)
def test_a_picture_rule_is_a_flag_under_blip(lake: Lake, rule: str) -> None:
    write_batch(lake, "web", [Painted(name="odd", texts=[Text(text=GOOD)], web=PICTURES[rule])])
    assert reasons(lake, blip(caption_runs=()), "odd") == {rule: "flag"}


def test_datacomps_basic_filter_drops_small_pictures_and_strips(lake: Lake) -> None:
    odd = [
        Painted(name=rule, texts=[Text(text=GOOD)], web=PICTURES[rule])
        for rule in ("min_side", "max_aspect_ratio")
    ]
    write_batch(lake, "web", [*odd, one_text("good")])
    card = select(lake, Selection(policy="datacomp_basic", batches=("web",)))
    assert [row["key"] for row in table(lake, "selections", card.id)] == [key_of("web", "good")]


def test_a_short_foreign_text_in_plain_letters_is_left_to_the_filter(lake: Lake) -> None:
    sure = {"lang": "de", "lang_conf": 0.99}
    pictures = [
        one_text("short", "roter Hund da", signals=sure),
        one_text("unsure", "ein roter Hund läuft dort", signals={"lang": "de", "lang_conf": 0.4}),
    ]
    write_batch(lake, "web", pictures)
    assert reasons(lake, blip(caption_runs=()), "short") == {}
    assert reasons(lake, blip(caption_runs=()), "unsure") == {}


def test_all_rules_that_fail_are_written_so_that_the_only_reason_can_be_told(lake: Lake) -> None:
    write_batch(lake, "web", [one_text("bad", "IMG_1.jpg", itm=0.1), one_text("good")])
    found = reasons(lake, blip(caption_runs=()), "bad")
    assert {"min_words", "filename", "itm_probability"} <= set(found)
    card = select(lake, blip(caption_runs=()))
    by_reason = {row["reason"]: row for row in card.reasons}
    assert by_reason["text_too_short"] == {
        "reason": "text_too_short",
        "n_any": 1,
        "n_first": 1,
        "n_only": 0,
    }
    assert by_reason["itm_mismatch"]["n_first"] == 0


def test_a_duplicate_is_dropped_and_its_keeper_stays(lake: Lake) -> None:
    write_batch(lake, "web", [one_text("first"), one_text("copy")])
    write_duplicates(lake, "web", {"copy": ("first", 2)})
    assert reasons(lake, blip(caption_runs=()), "copy") == {"near_duplicate": "drop"}
    assert selected_sources(lake, blip(caption_runs=()), "first") == ["web"]


def test_of_copies_of_an_earlier_batch_the_first_stands_for_it_where_it_is_not_chosen_from(
    lake: Lake,
) -> None:
    write_batch(lake, "old", [one_text("first")])
    write_batch(lake, "web", [one_text("copy"), one_text("again"), one_text("other", ALSO_GOOD)])
    marks = {"copy": ("first", 2), "again": ("first", 1)}
    write_duplicates(lake, "web", marks, keeper_batch="old")
    both, alone = blip("old", "web", caption_runs=()), blip(caption_runs=())
    assert reasons(lake, both, "first", batch="old") == {}
    for name in marks:
        assert reasons(lake, both, name) == {"near_duplicate": "drop"}
    stands = min(marks, key=lambda name: key_of("web", name))
    (follows,) = marks.keys() - {stands}
    assert reasons(lake, alone, stands) == reasons(lake, alone, "other") == {}
    assert reasons(lake, alone, follows) == {"near_duplicate": "drop"}


def test_the_same_address_in_a_later_batch_is_a_copy(lake: Lake) -> None:
    write_batch(lake, "old", [one_text("first")])
    write_batch(lake, "web", [one_text("copy"), one_text("other", ALSO_GOOD)])
    # As a second crawl of the same address leaves it: the picture's key in both batches.
    row = {"key": key_of("web", "copy"), "keeper": key_of("web", "copy"), "keeper_batch": "old"}
    shard = Shard("web", "00000")
    path = lake.rows("duplicates", "ingestion", shard)
    rows.write_rows(lake, path, rows.table_of([{**row, "distance": 0}], rows.DUPLICATES))
    old_web = lake.rows("web", "", Shard("old", "00000"))
    known = rows.read_rows(lake, old_web).to_pylist()
    again = {**known[0], "key": key_of("web", "copy")}
    rows.write_rows(lake, old_web, rows.table_of([*known, again], rows.WEB))
    assert reasons(lake, blip("old", "web", caption_runs=()), "copy") == {"near_duplicate": "drop"}
    assert reasons(lake, blip(caption_runs=()), "copy") == {}


def test_marks_of_an_older_lake_are_of_one_batch(lake: Lake) -> None:
    write_batch(lake, "web", [one_text("first"), one_text("copy")])
    write_duplicates(lake, "web", {"copy": ("first", 2)})
    path = lake.rows("duplicates", "ingestion", Shard("web", "00000"))
    rows.write_rows(lake, path, rows.read_rows(lake, path).drop_columns(["keeper_batch"]))
    assert reasons(lake, blip(caption_runs=()), "copy") == {"near_duplicate": "drop"}


def test_a_duplicate_in_one_batch_says_nothing_about_another(lake: Lake) -> None:
    write_batch(lake, "web", [one_text("first"), one_text("copy")])
    write_batch(lake, "more", [one_text("first"), one_text("copy")])
    write_duplicates(lake, "more", {"copy": ("first", 2)})
    assert reasons(lake, blip("web", "more", caption_runs=()), "copy") == {}


@pytest.mark.parametrize(
    ("bits", "leaks"), [(0, True), (0b111, True), (0b1111, False)], ids=["equal", "3 bits", "4"]
)
@pytest.mark.parametrize("policy", sorted(set(policies()) - {"pmi", "human"}))
def test_a_picture_of_the_evaluation_is_dropped_under_every_policy(
    lake: Lake, policy: str, bits: int, leaks: bool
) -> None:
    known = {"phash": 0xF0F0_1234_5678_9ABC, "dhash": 0x0FF0_1234_5678_9ABC}
    close = known | {"phash": known["phash"] ^ (bits << 30)}
    write_batch(lake, "evaluation", [Painted(name="judged", texts=[], web=known)])
    seen = Painted(name="seen", texts=[Text(text=GOOD)], web=close)
    write_batch(lake, "web", [seen, one_text("other", ALSO_GOOD)])
    how = Selection(
        policy=policy,
        batches=("web",),
        score_run=FILTER,
        thresholds=Thresholds(itc_fraction=1.0, top_k=100),
    )
    assert (reasons(lake, how, "seen").get("evaluation_leakage") == "drop") is leaks


@pytest.mark.parametrize("side", ["judged", "found"])
def test_a_border_does_not_hide_a_picture_of_the_evaluation(lake: Lake, side: str) -> None:
    plain = {"phash": 0xF0F0_1234_5678_9ABC, "dhash": 0x0FF0_1234_5678_9ABC}
    inside = {f"trimmed_{name}": value ^ 0b11 for name, value in plain.items()}
    framed = {"phash": 0x1111_2222_3333_4444, "dhash": 0x5555_6666_7777_8888} | inside
    judged, found = (framed, plain) if side == "judged" else (plain, framed)
    write_batch(lake, "evaluation", [Painted(name="judged", texts=[], web=judged)])
    seen = Painted(name="seen", texts=[Text(text=GOOD)], web=found)
    write_batch(lake, "web", [seen, one_text("other", ALSO_GOOD)])
    assert reasons(lake, blip(caption_runs=()), "seen") == {"evaluation_leakage": "drop"}


def test_a_human_text_is_kept_whatever_the_rules_for_web_texts_say(lake: Lake) -> None:
    short = Text(text="dog", source="human", itm=0.01)
    again = Text(text="my dog", source="human", itm=0.01)
    write_batch(lake, "seed", [Painted(name="labelled", texts=[short, again])])
    write_batch(lake, "web", [with_synthetic("found", 0.9, 0.9)])
    how = blip("web", "seed")
    assert selected_sources(lake, how, "labelled", "seed") == ["human", "human"]
    assert reasons(lake, how, "labelled", batch="seed", source="human")["min_words"] == "flag"


def test_the_best_of_several_web_texts_is_taken_unless_all_are_wanted(lake: Lake) -> None:
    texts = [Text(text=GOOD, itm=0.6), Text(text=ALSO_GOOD, itm=0.8), Text(text="dog", itm=0.99)]
    write_batch(lake, "web", [Painted(name="several", texts=texts)])
    how = blip(caption_runs=())
    chosen = table(lake, "selections", select(lake, how).id)
    assert [row["text"] for row in chosen] == [ALSO_GOOD]
    assert reasons(lake, how, "several") == {"texts_per_source": "drop"}
    every = blip(caption_runs=(), thresholds=Thresholds(texts_per_source=0))
    assert len(table(lake, "selections", select(lake, every).id)) == 2


def test_a_text_that_was_never_scored_or_scored_nan_is_dropped_for_that(lake: Lake) -> None:
    pictures = [one_text("nan", itm=float("nan")), one_text("null", itm=None), one_text("good")]
    write_batch(lake, "web", pictures)
    how = blip(caption_runs=())
    assert reasons(lake, how, "nan")["not_scored"] == "drop"
    assert reasons(lake, how, "null") == {"not_scored": "drop"}


def test_a_text_under_one_in_a_hundred_pictures_is_repeated_and_a_rare_one_is_not(
    lake: Lake,
) -> None:
    common = [one_text(f"c{n}", f"a view of the garden {n}") for n in range(8)]
    rare = [one_text(f"r{n}", f"the {n} hills of the island") for n in range(7)]
    write_batch(lake, "web", [*common, *rare])
    assert reasons(lake, blip(caption_runs=()), "c3") == {"caption_repeated": "drop"}
    assert reasons(lake, blip(caption_runs=()), "r3") == {}


def test_the_closest_fraction_of_the_web_is_kept(lake: Lake) -> None:
    pictures = [one_text(f"p{n}", f"{GOOD} {n}", itc=n / 10) for n in range(10)]
    write_batch(lake, "web", pictures)
    how = Selection(policy="itc_top_fraction", batches=("web",), score_run=FILTER)
    found = table(lake, "selections", select(lake, how).id)
    assert {row["key"] for row in found} == {key_of("web", f"p{n}") for n in (7, 8, 9)}


def test_pmi_drops_the_lowest_quantile_of_each_source(lake: Lake) -> None:
    pictures = [
        Painted(
            name=f"p{n}",
            texts=[
                Text(text=f"{GOOD} {n}", pmi=n),
                Text(text=f"{ALSO_GOOD} {n}", pmi=100 - n, source="synthetic"),
            ],
        )
        for n in range(11)
    ]
    write_batch(lake, "web", pictures)
    how = Selection(
        policy="pmi",
        batches=("web",),
        caption_runs=(CAPTIONER,),
        score_run=FILTER,
        rbm_run=RBM,
        thresholds=Thresholds(repeated_count=100),
    )
    assert selected_sources(lake, how, "p0") == ["synthetic"]
    assert selected_sources(lake, how, "p5") == ["synthetic", "web"]
    assert selected_sources(lake, how, "p10") == ["web"]


def test_what_a_rule_has_no_number_for_is_null(lake: Lake) -> None:
    written = Text(text="jane.doe@mail.example took this", source="synthetic")
    write_batch(lake, "web", [one_text("good"), Painted(name="mail", texts=[written])])
    how = Selection(policy="raw", batches=("web",), caption_runs=(CAPTIONER,))
    found = {row["rule"]: row for row in table(lake, "decisions", select(lake, how).id)}
    assert {rule: (row["value"], row["threshold"]) for rule, row in found.items()} == {
        "source_not_wanted": (None, None),
        "pii": (1, None),
    }


def test_every_rule_file_is_listed_once_and_every_policy_names_known_rules() -> None:
    with Database() as database:
        listed = [row["rule"] for row in database.rows("selection/rules")]
        orders = [row["order"] for row in database.rows("selection/rules")]
        files = {name.removeprefix("rules/") for name in names("rules")}
        assert set(listed) == files | set(RANKINGS)
        assert len(set(listed)) == len(listed)
        assert len(set(orders)) == len(orders)
        database.create("cheap_rule", "selection/cheap_rules")
        for policy in policies():
            used: Iterable[str] = {row["rule"] for row in database.rows(f"policies/{policy}")}
            assert set(used) <= set(listed)
