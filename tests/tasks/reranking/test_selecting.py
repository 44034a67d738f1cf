"""A selection keeps the first choice of the re-ranking it names, and the catalogue says why."""

import pytest

from tasks import rows
from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.errors import LakeError
from tasks.selection import Selection, select
from tasks.storage import Lake, Shard
from tests.lakes import Painted, Text, caption_id, key_of, write_batch
from tests.selecting import GOOD, blip, table

RERANKING = "reranking-test"


def ranked(lake: Lake, order: dict[int, float | None]) -> None:
    """Rank the first captions of a captioner for one picture: index -> score."""
    shard = Shard("web", "00000")
    found = [
        {
            "caption_id": caption_id("web", "several", "synthetic", index),
            "batch": "web",
            "lm_part": 0.0,
            "key": key_of("web", "several"),
            "rerank_score": score,
            "rerank_place": 1 + index,
            "run": RERANKING,
        }
        for index, score in order.items()
    ]
    table = rows.table_of(found, rows.SCORES)
    rows.write_rows(lake, lake.rows("scores", RERANKING, shard), table)


def test_the_first_choice_of_a_re_ranking_is_kept_unless_another_rule_drops_it(lake: Lake) -> None:
    texts = [
        "two cats sit on a wall",
        "three dogs run on the grass",
        "a bird sings in a tree",
        "dog",
    ]
    itm = (0.9, 0.7, 0.6, 0.8)
    own = [Text(text=t, source="synthetic", itm=p) for t, p in zip(texts, itm, strict=True)]
    write_batch(lake, "web", [Painted(name="several", texts=[*own, Text(text=GOOD, itm=0.6)])])
    ranked(lake, {0: -0.5, 1: 0.25, 2: None, 3: 0.75})  # "dog" is first, and too short

    def kept(how: Selection) -> list[str]:
        return sorted(row["text"] for row in table(lake, "selections", select(lake, how).id))

    assert kept(blip()) == sorted([texts[0], GOOD])
    assert kept(blip(rerank_run=RERANKING)) == sorted([texts[1], GOOD])
    with pytest.raises(LakeError, match="there are no scores of run reranking-typo"):
        select(lake, blip(rerank_run="reranking-typo"))


def test_the_candidates_of_a_picture_come_best_first_with_what_each_term_added(lake: Lake) -> None:
    own = [Text(text=f"{n} cats sit on a wall", source="synthetic") for n in ("two", "six", "ten")]
    write_batch(lake, "web", [Painted(name="several", texts=[*own, Text(text=GOOD)])])
    shard = Shard("web", "00000")
    parts: tuple[dict[str, float | None], ...] = (
        {"lm": 0.1, "pmi": -0.3},
        {"lm": -0.2, "pmi": 0.4},
        {"lm": 0.3, "pmi": None},
    )
    found = []
    for index, (part, place) in enumerate(zip(parts, (2, 1, None), strict=True)):
        own_parts = {f"{name}_part": value for name, value in part.items()}
        score = sum(value for value in part.values() if value) if place else None
        name = {"caption_id": caption_id("web", "several", "synthetic", index), "batch": "web"}
        name |= {"key": key_of("web", "several"), "run": RERANKING}
        found.append({**name, **own_parts, "rerank_score": score, "rerank_place": place})
    path = lake.rows("scores", RERANKING, shard)
    rows.write_rows(lake, path, rows.table_of(found, rows.SCORES))
    lake.commit("reranking", RERANKING, shard, files=[path], rows={"candidates": 3}, seconds=1)
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        told = database.ask(f"from candidates('{key_of('web', 'several')}')")
    assert [(row["text"][:3], row["rerank_place"]) for row in told] == [
        ("six", 1),
        ("two", 2),
        ("ten", None),
    ]
    assert {row["reranking"] for row in told} == {RERANKING}
    for row in told[:2]:
        assert row["rerank_score"] == pytest.approx(row["lm_part"] + row["pmi_part"])
