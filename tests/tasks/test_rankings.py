"""Policies that compare texts with each other keep the best of what no other rule drops."""

from pathlib import Path
from typing import Any

import pytest

from tasks.errors import InputError
from tasks.selection import Selection, Thresholds, select
from tasks.storage import Lake
from tests.lakes import CAPTIONER, FILTER, Painted, Text, new_lake, write_batch
from tests.selecting import ALSO_GOOD, GOOD, one_text, reasons, selected_sources, table


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path / "lake")


def chosen(lake: Lake, policy: str, **thresholds: Any) -> list[str]:
    written = lake.glob(f"captions/{CAPTIONER}/web/*.parquet")
    how = Selection(
        policy=policy,
        batches=("web",),
        caption_runs=(CAPTIONER,) if written else (),
        score_run=FILTER,
        thresholds=Thresholds(repeated_count=100, **thresholds),
    )
    return sorted(row["text"] for row in table(lake, "selections", select(lake, how).id))


def test_blip2_keeps_the_two_closest_texts_of_a_picture_whoever_wrote_them(lake: Lake) -> None:
    texts = [
        Text(text=f"{GOOD} near", itc=0.5, itm=0.1),
        Text(text=f"{GOOD} far", itc=0.2),
        Text(text=f"{ALSO_GOOD} nearest", itc=0.6, itm=0.2, source="synthetic"),
        Text(text=f"{ALSO_GOOD} third", itc=0.4, source="synthetic"),
        Text(text="a a a a a a", itc=0.9, source="synthetic", signals={"degenerate": True}),
    ]
    write_batch(lake, "web", [Painted(name="several", texts=texts)])
    # What the filter thinks of them does not count, and a loop takes no place.
    assert chosen(lake, "blip2") == [f"{GOOD} near", f"{ALSO_GOOD} nearest"]
    assert len(chosen(lake, "blip2", texts_per_picture=3)) == 3
    assert len(chosen(lake, "blip2", texts_per_picture=0)) == 4


def test_top_k_keeps_so_many_texts_of_all_pictures(lake: Lake) -> None:
    pictures = [one_text(f"p{n}", f"{GOOD} {n}", itm=n / 13) for n in range(11)]
    mail = one_text("mail", "jane.doe@mail.example took this", itm=1.0)
    write_batch(lake, "web", [*pictures, mail])
    assert chosen(lake, "top_k", top_k=3) == [f"{GOOD} {n}" for n in (10, 8, 9)]
    assert len(chosen(lake, "top_k", top_k=100)) == 11


def test_top_k_wants_to_be_told_how_many(lake: Lake) -> None:
    write_batch(lake, "web", [one_text("one")])
    with pytest.raises(InputError, match=r"thresholds\.top_k says; set it above 0"):
        chosen(lake, "top_k")


def test_a_concept_keeps_its_share_and_rare_ones_are_never_crowded_out(lake: Lake) -> None:
    dogs = [one_text(f"d{n}", f"the dogs ran {n} of us", itm=0.9) for n in range(7)]
    rare = one_text("rare", "the dogs watched a lighthouse", itm=0.9)
    write_batch(lake, "web", [*dogs, rare])
    kept = chosen(lake, "concept_cap", texts_per_concept=3)
    # Of "dogs" the first three in an order drawn by ids; the only "lighthouse" whatever its place.
    assert "the dogs watched a lighthouse" in kept
    assert len(kept) in (3, 4)
    assert len(chosen(lake, "concept_cap")) == 8
    how = Selection(
        policy="concept_cap",
        batches=("web",),
        score_run=FILTER,
        thresholds=Thresholds(repeated_count=100, texts_per_concept=3),
    )
    dropped = [n for n in range(7) if reasons(lake, how, f"d{n}")]
    assert len(dropped) == 8 - len(kept)
    assert reasons(lake, how, f"d{dropped[0]}") == {"concept_cap": "drop"}


def test_texts_without_a_long_word_are_one_concept(lake: Lake) -> None:
    write_batch(lake, "web", [one_text(f"p{n}", f"a red car no {n}") for n in range(5)])
    assert len(chosen(lake, "concept_cap", texts_per_concept=2)) == 2


def test_human_texts_are_neither_ranked_nor_capped(lake: Lake) -> None:
    human = [Text(text=f"{GOOD} {n}", source="human", itm=0.1, itc=0.0) for n in range(3)]
    web = Text(text=f"{GOOD} here", itm=0.9, itc=0.9)
    write_batch(lake, "web", [Painted(name="labelled", texts=[*human, web])])
    for policy in ("blip2", "concept_cap", "top_k"):
        how = Selection(
            policy=policy,
            batches=("web",),
            score_run=FILTER,
            thresholds=Thresholds(texts_per_concept=1, texts_per_picture=1, top_k=1),
        )
        assert selected_sources(lake, how, "labelled") == ["human", "human", "human", "web"]


def test_a_ranking_is_evaluated_where_its_policy_names_it(lake: Lake) -> None:
    write_batch(lake, "web", [one_text(f"p{n}", f"{GOOD} {n}", itm=0.9) for n in range(5)])
    how = Selection(
        policy="blip",
        batches=("web",),
        score_run=FILTER,
        thresholds=Thresholds(repeated_count=100, texts_per_concept=1),
    )
    assert [reasons(lake, how, f"p{n}") for n in range(5)] == [{}] * 5
