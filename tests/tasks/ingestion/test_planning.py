"""A plan is the same whatever order its candidates come in, and however little memory there is."""

import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources import planning, plans, spilling
from tasks.ingestion.sources.candidates import Candidate
from tasks.storage import Lake, Shard

SOURCE = Source(batch="web", tables=("t.csv",))
HOW = Ingestion(shard_size=11)


def some_candidates(count: int) -> list[Candidate]:
    """Candidates of which many share an address, a text or both."""
    drawn = random.Random(7)
    return [
        Candidate(
            f"http://a.org/{drawn.randrange(count // 3)}.jpg",
            f"text {drawn.randrange(5)}",
            f"http://a.org/page{number}",
            f"context {number}",
        )
        for number in range(count)
    ]


def merged_in_memory(candidates: list[Candidate]) -> dict[str, planning.Planned]:
    """The obvious way: a dictionary of everything."""
    found: dict[str, planning.Planned] = {}
    for one in candidates:
        key = rows.key_of(one.url)
        entry = found.setdefault(key, planning.Planned(key, one.url, one.page_url))
        entry.texts.setdefault(one.text, (one.page_url, one.context))
    return dict(sorted(found.items()))


def test_what_spills_to_disk_is_planned_as_what_fits_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = some_candidates(1009)
    expected = list(merged_in_memory(candidates).values())
    for held in (2, 31, 10_000):
        monkeypatch.setattr(spilling, "MAX_ROWS", held)
        assert list(planning.merged(candidates, tmp_path)) == expected
        assert not list(tmp_path.iterdir())


def test_one_address_with_more_texts_than_memory_holds_is_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spilling, "MAX_ROWS", 3)
    candidates = [Candidate("http://a.org/x", f"text {number}", "") for number in range(11)]
    (entry,) = planning.merged(candidates, tmp_path)
    assert list(entry.texts) == [f"text {number}" for number in range(11)]


def test_rows_of_many_characters_spill_before_there_are_many_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spilling, "MAX_CHARS", 1000)
    seen = []

    def given() -> Iterator[Candidate]:
        for number in range(5):
            yield Candidate(f"http://a.org/{number}", "x" * 700, "")
            seen.append(len(list(tmp_path.iterdir())))

    assert len(list(planning.merged(given(), tmp_path))) == 5
    assert seen[0] == 0
    assert seen[-1] > 0


def test_memory_does_not_grow_with_the_candidates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spilling, "MAX_ROWS", 500)

    def peak_bytes(count: int) -> int:
        given = (Candidate(f"http://a.org/{n}", f"text {n}", "", "c" * 99) for n in range(count))
        tracemalloc.start()
        try:
            assert sum(1 for _ in planning.merged(given, tmp_path)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak_bytes(8000) < 1.5 * peak_bytes(2000)


def test_what_is_said_first_of_an_address_holds(tmp_path: Path) -> None:
    candidates = [
        Candidate("http://a.org/x", "", "", body_path="a.warc", body_offset=7),
        Candidate("http://A.org/x#part", "boat", "http://a.org/1", "c1"),
        Candidate("http://a.org/x", "boat", "http://a.org/2", "c2", "ab" * 16),
        Candidate("http://a.org/x", "ship", "http://a.org/3", "c3", "cd" * 16, "b.warc", 9),
    ]
    (entry,) = planning.merged(candidates, tmp_path)
    assert (entry.page_url, entry.expected_hash) == ("http://a.org/1", "ab" * 16)
    assert (entry.body_path, entry.body_offset) == ("a.warc", 7)
    assert entry.texts == {"boat": ("http://a.org/1", "c1"), "ship": ("http://a.org/3", "c3")}


def test_an_address_keeps_a_thousand_texts(tmp_path: Path) -> None:
    candidates = [Candidate("http://a.org/x", f"text {number}", "") for number in range(1009)]
    (entry,) = planning.merged(candidates, tmp_path)
    assert list(entry.texts) == [f"text {number}" for number in range(1000)]


def test_a_plan_is_read_as_it_was_written_and_shards_are_full(lake: Lake) -> None:
    candidates = [*some_candidates(101), Candidate("http://b.org/", "", "", "", "", "b.warc", 0)]
    shards = planning.plan_candidates(lake, SOURCE, candidates, HOW)
    read = [plans.read_plan(lake, shard) for shard in shards]
    assert {len(entries) for entries in read[:-1]} == {11}
    assert len(read[-1]) <= 11
    expected = merged_in_memory(candidates[:-1])
    found = {entry.key: entry for entries in read for entry in entries}
    assert list(found) == sorted(found)
    body = found.pop(rows.key_of("http://b.org/"))
    assert (body.body_path, body.body_offset) == ("b.warc", 0)
    assert found == expected
    assert lake.read_json("plans/web/plan.json")["candidates"] == len(expected) + 1


def test_a_plan_of_nothing_is_one_line_and_writes_nothing(lake: Lake) -> None:
    with pytest.raises(InputError, match="would be empty"):
        planning.plan_candidates(lake, SOURCE, [], HOW)
    assert not list(Path(lake.root).iterdir())


def test_a_source_that_fails_late_leaves_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spilling, "MAX_ROWS", 5)

    def given() -> Iterator[Candidate]:
        yield from some_candidates(31)
        raise InputError("row 32 is damaged")

    with pytest.raises(InputError, match="row 32"):
        planning.plan_candidates(lake, SOURCE, given(), HOW)
    assert not list(Path(lake.root).iterdir())


def test_what_a_killed_planning_left_is_not_in_the_next_plan(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = Path(lake.root) / ".planning-web"
    left.mkdir(parents=True)
    key = rows.key_of("http://a.org/1")
    (left / key[:2]).write_bytes(b"rubbish")
    monkeypatch.setattr(spilling, "MAX_ROWS", 1)
    one = Candidate("http://a.org/1", "boat", "")
    (shard,) = planning.plan_candidates(lake, SOURCE, [one], HOW)
    assert [entry.url for entry in plans.read_plan(lake, shard)] == ["http://a.org/1"]
    assert not left.exists()


def test_a_plan_holds_for_sources_that_say_the_same_in_more_words(lake: Lake) -> None:
    planning.plan_candidates(lake, SOURCE, some_candidates(11), HOW)
    record = lake.read_json("plans/web/plan.json")
    del record["source"]["max_pages"]  # as if written before there was such a setting
    lake.publish_json("plans/web/plan.json", record)
    assert planning.existing_plan(lake, SOURCE) == [Shard("web", "00000")]
    with pytest.raises(InputError, match=r"planned from another source \(max_pages 5000 there"):
        planning.existing_plan(lake, Source(batch="web", tables=("t.csv",), max_pages=7))


def test_a_plan_of_another_version_is_one_line(lake: Lake) -> None:
    (shard,) = planning.plan_candidates(lake, SOURCE, some_candidates(5), HOW)
    relative = lake.rows("plans", "", shard)
    rows.write_rows(lake, relative, rows.read_rows(lake, relative, ["key", "url"]))
    with pytest.raises(LakeError, match=r"00000\.parquet"):
        plans.read_plan(lake, shard)
