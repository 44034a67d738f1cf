"""A report shows what a lake holds, in one file, and says so where nothing has been measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from sql.statements import statement
from tasks.catalogue.building import build_catalogue
from tasks.catalogue.gates import check_gates
from tasks.catalogue.verdicts import Check, Override
from tasks.database import Database
from tasks.errors import InputError, LakeError
from tasks.report.contents import AFTER_GALLERIES, BEFORE_GALLERIES
from tasks.report.report import write_report
from tests import lakes
from tests.gate_lakes import sentence
from tests.lakes import Painted, Text, key_of
from tests.reported import Elements, reported, write_lake


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    return reported(write_lake(tmp_path_factory.mktemp("lake")))


def figure(numbers: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = numbers["figures"][name]["rows"]
    return rows


def keys(numbers: dict[str, Any], gallery: str) -> set[str]:
    return {card["key"] for card in numbers["galleries"][gallery]}


def test_the_numbers_are_those_of_the_lake(made: tuple[str, dict[str, Any]]) -> None:
    _, numbers = made
    # Web: kept, hard, and one of script's two texts; synthetic: kept and rescued.
    assert {
        row["source"]: (row["kept"], row["captions"]) for row in figure(numbers, "keep-rates")
    } == {"web": (3, 7), "synthetic": (2, 3)}
    assert [row["n"] for row in figure(numbers, "funnel-steps")] == [7, 6, 5, 5, 4]
    assert [(row["outcome"], row["n"]) for row in figure(numbers, "outcomes")] == [
        ("http_error 404", 1)
    ]
    mismatch = [row for row in figure(numbers, "first-reasons") if row["reason"] == "itm_mismatch"]
    assert {row["source"]: row["n_first"] for row in mismatch} == {"web": 2, "synthetic": 1}
    (overall,) = [row for row in figure(numbers, "filter-truth") if row["noise"] == "all"]
    assert (overall["noise_recall"], overall["noise_precision"]) == (1.0, 1.0)
    # Right texts scored 0.9 and 0.51, wrong ones 0.1 and 0.2: every pair is in order.
    assert {row["signal"]: row["auc"] for row in figure(numbers, "auc")} == {
        "itm_probability": 1.0,
        "itc_cosine": 1.0,
        "rbm_pmi": 1.0,
        "gaussian_pmi": 1.0,
    }


def test_a_gallery_holds_the_pictures_it_names(made: tuple[str, dict[str, Any]]) -> None:
    _, numbers = made
    assert keys(numbers, "rescued") == {key_of("web", "rescued")}
    assert keys(numbers, "kept") == {
        key_of("web", n) for n in ("kept", "rescued", "hard", "script")
    }
    assert [card["key"] for card in numbers["galleries"]["duplicates"]] == [
        key_of("web", "kept"),
        key_of("web", "copy"),
    ]
    assert numbers["galleries"]["borderline"][0]["key"] == key_of("web", "hard")
    dropped = {(card["kind"], card["key"]) for card in numbers["galleries"]["dropped"]}
    assert ("itm_mismatch", key_of("web", "lost")) in dropped
    assert ("near_duplicate", key_of("web", "copy")) in dropped
    assert key_of("web", "hard") not in keys(numbers, "dropped")


def test_every_figure_is_on_the_page_with_the_statement_that_made_it(
    made: tuple[str, dict[str, Any]],
) -> None:
    page, numbers = made
    elements = Elements(page)
    told = "".join(elements.texts)
    anchors = [one["id"] for _, one in elements.found if "id" in one]
    assert len(anchors) == len(set(anchors))
    for section in (*BEFORE_GALLERIES, *AFTER_GALLERIES):
        assert section.name in anchors
        for one in (one for one in section.figures if not one.is_optional):
            assert one.name in anchors
            assert numbers["figures"][one.name]["statement"] == one.statement
            body = statement(one.statement).split("\n", 2)[2].strip()
            assert body.split("$")[0] in told


def test_the_gates_come_first_and_their_verdicts_head_the_page(
    made: tuple[str, dict[str, Any]],
) -> None:
    page, numbers = made
    assert page.index('id="gates"') < page.index('id="funnel"') < page.index('id="galleries"')
    worst_first = [row["status"] for row in figure(numbers, "gate-verdicts")]
    rank = ["fail", "warn", "pass", "not measured"]
    assert worst_first == sorted(worst_first, key=rank.index)
    assert numbers["gates"] == {status: worst_first.count(status) for status in set(worst_first)}


def test_the_same_lake_gives_the_same_page_but_for_the_time(tmp_path: Path) -> None:
    lake = write_lake(tmp_path)
    first, numbers = reported(lake)
    second, later = reported(lake)
    assert without(first, numbers["written_at"]) == without(second, later["written_at"])


def without(page: str, moment: str) -> str:
    """The page without the time it was written at, in both of its spellings."""
    return page.replace(moment, "").replace(moment[:19].replace("T", " "), "")


def test_a_lake_in_which_nothing_has_run_yet_says_so_for_every_figure(tmp_path: Path) -> None:
    page, _ = reported(lakes.new_lake(tmp_path))
    # The gates have a row each, "not measured"; every other figure and gallery has a sentence.
    sections = (*BEFORE_GALLERIES, *AFTER_GALLERIES)
    figures = sum(not figure.is_optional for one in sections for figure in one.figures)
    assert page.count('class="missing"') == figures - 1 + 6
    assert "no filter has scored the captions" in page
    assert not Elements(page).named("svg")
    assert not Elements(page).named("img")


def test_pictures_without_a_selection_or_scores_still_have_a_report(tmp_path: Path) -> None:
    lake = lakes.new_lake(tmp_path)
    lakes.write_batch(lake, "web", [Painted(name="a", texts=[Text(text="two boats", itm=None)])])
    page, numbers = reported(lake)
    assert figure(numbers, "image-sharpness")
    assert not figure(numbers, "itm")
    assert "no selection has been made" in page


def test_scores_that_are_no_number_leave_the_json_valid(tmp_path: Path) -> None:
    lake = lakes.new_lake(tmp_path)
    broken = Text(text="two red boats on a lake", itm=float("nan"), itc=float("nan"), pmi=1.0)
    lakes.write_batch(lake, "web", [Painted(name="a", texts=[broken]), Painted(name="b")])
    build_catalogue(lake)
    write_report(lake, "a-run")
    text = lake.read_bytes("reports/a-run/report.json").decode()
    json.loads(text, parse_constant=pytest.fail)


def test_a_missing_tar_costs_its_pictures_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = write_lake(tmp_path)
    (tmp_path / "web" / "web" / "00000.tar").unlink()
    page, numbers = reported(lake)
    assert not Elements(page).named("img")
    assert page.count("could not be read from its shard") == sum(
        len(cards) for cards in numbers["galleries"].values()
    )
    assert "are not shown" in caplog.text


def test_the_index_lists_every_report_with_its_worst_gate(tmp_path: Path) -> None:
    lake = write_lake(tmp_path)
    reported(lake, "one-run")
    _, numbers = reported(lake, "other-run")
    index = Elements(lake.read_bytes("reports/index.html").decode())
    assert {one["href"] for one in index.named("a")} == {
        "one-run/report.html",
        "other-run/report.html",
    }
    worst = next(s for s in ("fail", "warn", "pass") if numbers["gates"].get(s))
    assert index.texts.count(worst) == 2


def test_without_a_catalogue_one_line_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="run the quality stage"):
        write_report(lakes.new_lake(tmp_path))
    assert not list(tmp_path.rglob("reports"))


def test_a_selection_that_there_is_not_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    lake = lakes.new_lake(tmp_path)
    lakes.write_batch(lake, "web", [Painted(name="a", texts=[Text(text="two red boats")])])
    build_catalogue(lake)
    with pytest.raises(InputError, match="no selection 'lost'"):
        write_report(lake, selection="lost")
    assert not lake.exists("reports")


@pytest.mark.slow
def test_a_second_crawl_is_shown_beside_the_last_green_run(tmp_path: Path) -> None:
    lake = lakes.new_lake(tmp_path)
    for batch, more in (("one", ""), ("two", " and far away")):
        texts = [Text(text=sentence(n) + more * (n % 3), itm=None) for n in range(101)]
        pictures = [Painted(name=f"p{n}", texts=[text]) for n, text in enumerate(texts)]
        lakes.write_batch(lake, batch, pictures)
        check_gates(lake, Check(run=f"run-{batch}", batches=(batch,)))
    page = lake.read_bytes(write_report(lake, "run-two")).decode()
    numbers = lake.read_json("reports/run-two/report.json")
    worst = figure(numbers, "drift-since")[0]
    assert worst["signal"] in {
        f"{name} of web in two, against one" for name in ("n_words", "n_chars")
    }
    assert worst["status"] == "warn"  # far off, on too few rows to fail
    assert figure(numbers, "moved-1")[0]["run"] == "last green run: one"
    assert {one["run"] for one in figure(numbers, "gate-runs")} == {"run-one", "run-two"}
    drawn = [one["aria-label"] for one in Elements(page).named("svg")]
    assert any(label.startswith("Moved most: 1 of 5") for label in drawn)
    assert any(label.startswith("Since the last green run") for label in drawn)


def test_a_statement_on_the_page_runs_as_it_stands(made: tuple[str, dict[str, Any]]) -> None:
    page, numbers = made
    shown = {text for text in Elements(page).texts if text.startswith("-- ")}
    assert len(shown) > 30
    with Database(numbers["lake"] + "/quality.duckdb", read_only=True) as database:
        for text in sorted(shown):
            assert isinstance(database.ask(text), list)


def test_an_override_is_on_the_page_with_its_reason(tmp_path: Path) -> None:
    lake = write_lake(tmp_path)
    taken_on = Override(gate="G9", why="one captioner of one day", who="a tester")
    check_gates(lake, Check(run="a-run", overrides=(taken_on,)))
    page = lake.read_bytes(write_report(lake, "a-run")).decode()
    (row,) = figure(lake.read_json("reports/a-run/report.json"), "overrides")
    assert (row["gate"], row["who"], row["why"]) == ("G9", "a tester", "one captioner of one day")
    assert "one captioner of one day" in Elements(page).texts
