"""A built site shows what its truth says, whole or not at all, and is built once."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tasks.demo.facts import MANIFEST, SiteFacts, read_lines
from tasks.demo.planting import Site
from tasks.demo.site import build_site
from tasks.errors import InputError
from tasks.ingestion.sources.candidates import read_page

HOW = Site(pictures=401, seed_pictures=13, evaluation_pictures=17, per_page=7, port=18037)


class Shown(HTMLParser):
    """The obvious reader: each picture of a page with every text that stands beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[list[str]] = []
        self.links: list[str] = []
        self.in_caption = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.in_caption = tag == "figcaption"
        if tag == "a":
            self.links.append(given["href"])
        if tag == "img":
            address = given.get("data-src") or given["src"]
            self.pairs.append([address, given.get("alt") or given.get("title") or ""])

    def handle_data(self, data: str) -> None:
        if self.in_caption:
            self.pairs[-1][1] += data
            self.in_caption = False


def shown_by(page: Path) -> Shown:
    reader = Shown()
    reader.feed(page.read_text())
    return reader


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> SiteFacts:
    return build_site(tmp_path_factory.mktemp("demo") / "site", HOW)


def pages_of(facts: SiteFacts) -> Iterator[Path]:
    return facts.served.rglob("*.html")


def test_the_pages_show_the_texts_of_the_truth_and_no_others(facts: SiteFacts) -> None:
    shown = {tuple(pair) for page in pages_of(facts) for pair in shown_by(page).pairs}
    truth = {(row["url"], row["text"]) for row in read_lines(facts.truth_path)}
    assert shown == truth
    assert len(truth) == 401 + 5


def test_the_crawler_reads_the_same_pairs_off_the_pages(facts: SiteFacts) -> None:
    read = {
        (candidate.url.removeprefix(facts.base_url), candidate.text)
        for page in pages_of(facts)
        for candidate in read_page(page.read_bytes(), f"{facts.base_url}/{page.name}").candidates
    }
    assert read == {(row["url"], row["text"]) for row in read_lines(facts.truth_path)}


def test_every_page_is_reached_by_links_from_the_start_page(facts: SiteFacts) -> None:
    waiting, seen = list(facts.start_pages), set(facts.start_pages)
    while waiting:
        for link in shown_by(facts.served / waiting.pop().lstrip("/")).links:
            if link.startswith("/") and link not in seen:
                seen.add(link)
                waiting.append(link)
    assert seen == {f"/{page.relative_to(facts.served)}" for page in pages_of(facts)}
    # 401 pictures at 7 a page are 58 pages; with the first page and the one about the site: 60.
    assert facts.pages == len(seen) == 60


def test_dead_pictures_have_no_file_and_all_others_have_one(facts: SiteFacts) -> None:
    for row in read_lines(facts.truth_path):
        path = row["url"].replace("/moved/", "/pictures/")
        assert (facts.served / path.lstrip("/")).exists() == (row["noise"] != "dead")


def test_sound_pictures_decode_and_broken_ones_do_not(facts: SiteFacts) -> None:
    for row in read_lines(facts.truth_path):
        if row["noise"] in ("none", "broken", "swapped"):
            path = row["url"].replace("/moved/", "/pictures/").lstrip("/")
            content = (facts.served / path).read_bytes()
            try:
                Image.open(BytesIO(content)).load()
                decodes = True
            except OSError:
                decodes = False
            assert decodes == (row["noise"] != "broken")


def test_duplicates_have_the_bytes_of_their_original_and_near_ones_do_not(
    facts: SiteFacts,
) -> None:
    checked = 0
    for row in read_lines(facts.truth_path):
        if "original" in row:
            one, other = (
                (facts.served / path.replace("/moved/", "/pictures/").lstrip("/")).read_bytes()
                for path in (row["url"], row["original"])
            )
            assert (one == other) == (row["noise"] == "duplicate")
            checked += 1
    assert checked == 16


def test_the_planted_counts_are_those_of_the_truth(facts: SiteFacts) -> None:
    noises = [row["noise"] for row in read_lines(facts.truth_path)]
    assert {noise: noises.count(noise) for noise in facts.planted} == facts.planted
    assert sum(facts.planted.values()) == len(noises)


def test_labelled_pictures_are_on_no_page(facts: SiteFacts) -> None:
    text = "".join(page.read_text() for page in pages_of(facts))
    assert not re.search("/(seed|evaluation)/", text)


def test_the_tables_hold_urls_of_the_site_with_three_references_for_evaluation(
    facts: SiteFacts,
) -> None:
    seed, evaluation = read_lines(facts.seed_table), read_lines(facts.evaluation_table)
    assert len({row["url"] for row in seed}) == len(seed) == 13
    assert len({row["url"] for row in evaluation}) == 17
    assert len({(row["url"], row["caption"]) for row in evaluation}) == 51
    for row in seed + evaluation:
        assert row["url"].startswith("http://127.0.0.1:18037/")
        assert (facts.served / row["url"].split("/", 3)[3]).exists()
    assert not any(row["held_out"] for row in seed)
    assert any(row["held_out"] for row in evaluation)


def test_truth_and_tables_are_not_served(facts: SiteFacts) -> None:
    assert not list(facts.served.rglob("*.jsonl"))


def test_a_second_build_finds_the_first_and_writes_nothing(facts: SiteFacts) -> None:
    before = {path: path.stat().st_mtime_ns for path in facts.folder.rglob("*")}
    assert build_site(facts.folder, HOW) == facts
    assert {path: path.stat().st_mtime_ns for path in facts.folder.rglob("*")} == before


def test_two_builds_have_the_same_bytes(facts: SiteFacts, tmp_path: Path) -> None:
    again = build_site(tmp_path / "again", HOW)
    files = [path.relative_to(again.folder) for path in again.folder.rglob("*") if path.is_file()]
    assert len(files) > 400
    assert all((again.folder / f).read_bytes() == (facts.folder / f).read_bytes() for f in files)


def test_other_settings_rebuild_the_whole_site(tmp_path: Path) -> None:
    small = {"pictures": 20, "seed_pictures": 3, "evaluation_pictures": 2}
    first = build_site(tmp_path / "site", Site(**small))
    second = build_site(tmp_path / "site", Site(seed=5, **small))
    assert json.loads((second.folder / MANIFEST).read_text())["settings"]["seed"] == 5
    assert first.folder == second.folder
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_folder_with_somebody_s_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear aunt")
    with pytest.raises(InputError, match="holds files that are no demo site"):
        build_site(tmp_path, Site(pictures=20))
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_a_build_cut_short_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(InputError, match=r"No space left on device\); free some space"):
        build_site(tmp_path / "site", Site(pictures=20))
    assert list(tmp_path.iterdir()) == []
