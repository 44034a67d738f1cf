"""A build reads what is new and nothing else, and makes what a build of the whole lake makes."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tasks.catalogue.building import CATALOGUE, build_catalogue, fill, open_catalogue
from tasks.database import Database
from tasks.selection import Selection, select
from tasks.storage import Lake, Shard
from tests.lakes import CAPTIONER, Painted, Text, new_lake, write_batch, write_duplicates
from tests.selecting import ALSO_GOOD, GOOD, blip

Change = Callable[[Lake], None]


def pictures(count: int, itm: float = 0.9, prefix: str = "p") -> list[Painted]:
    texts = [Text(text=GOOD, itm=itm), Text(text=ALSO_GOOD, source="synthetic", itm=0.2)]
    return [Painted(name=f"{prefix}{n}", texts=texts) for n in range(count)]


def filled(root: Path) -> Lake:
    lake = new_lake(root)
    write_batch(lake, "web", pictures(7), per_shard=3)
    write_batch(lake, "other", pictures(5, prefix="o"))
    select(lake, blip())
    select(lake, Selection(policy="raw", batches=("other",)))
    return lake


def content(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but for what says when and how the file was built."""
    found = {}
    with open_catalogue(lake) as database:
        tables = database.ask("select table_name from duckdb_tables() where not internal")
        for name in {row["table_name"] for row in tables} - {"build", "source_file"}:
            columns = "* exclude (checked_at)" if name == "gate_result" else "*"
            rows = database.ask(f'select {columns} from "{name}" order by all')
            found[name] = sorted(
                (tuple(settled(value) for value in row.values()) for row in rows), key=repr
            )
    return found


def settled(value: Any) -> Any:
    """Return a value without the last digits of numbers: a mean's depend on the order of rows."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return [settled(one) for one in value] if isinstance(value, list) else value


def built(lake: Lake) -> dict[str, Any]:
    with open_catalogue(lake) as database:
        ((row),) = database.rows("schema/build")
        return row


def grow(lake: Lake) -> None:
    write_batch(lake, "web", pictures(8), per_shard=3)


def score_again(lake: Lake) -> None:
    write_batch(lake, "web", [*pictures(3), *pictures(7, itm=0.1)[3:]], per_shard=3)


def choose_again(lake: Lake) -> None:
    select(lake, Selection(policy="raw", batches=("web", "other")))


def forget_a_selection(lake: Lake) -> None:
    (raw,) = Path(lake.root, "selections").glob("raw-*")
    for place in (raw, Path(lake.root, "decisions", raw.name)):
        shutil.rmtree(place)
    shutil.rmtree(Path(lake.root, "commits/selection", raw.name))


def forget_a_run(lake: Lake) -> None:
    shutil.rmtree(Path(lake.root, "captions", CAPTIONER))
    shutil.rmtree(Path(lake.root, "commits/captioning", CAPTIONER))


def find_copies(lake: Lake) -> None:
    write_duplicates(lake, "web", {"p0": ("p5", 2)})


SLOW = [score_again, choose_again, forget_a_selection, forget_a_run, find_copies]
CHANGES = [grow, *(pytest.param(change, marks=pytest.mark.slow) for change in SLOW)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_build_upon_another_makes_what_a_build_of_the_whole_lake_makes(
    tmp_path: Path, change: Change
) -> None:
    lake = filled(tmp_path / "lake")
    build_catalogue(lake)
    before = content(lake)
    change(lake)
    build_catalogue(lake)
    upon, read = content(lake), built(lake)
    Path(lake.root, CATALOGUE).unlink()
    build_catalogue(lake)
    assert upon == content(lake)
    assert upon != before
    assert read["files_read"] < built(lake)["files_read"] == read["files"]


def test_gates_and_verdicts_of_what_is_as_it_was_are_not_made_again(tmp_path: Path) -> None:
    lake = filled(tmp_path / "lake")
    build_catalogue(lake)
    marked = "update {} set {} where true"
    with Database(lake.local_path(CATALOGUE)) as database:
        database.ask(marked.format("measurement", "n = 424243"))
        database.ask(marked.format("sample_final", "lang = 'marked'"))
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        assert database.ask("select distinct n from measurement") == [{"n": 424243}]
    write_batch(lake, "web", pictures(8)[6:], per_shard=3, first=2)
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        assert not database.ask("from measurement where n = 424243")
        kept = database.ask("select distinct batch, shard from sample_final where lang = 'marked'")
    # The last shard of one batch is another one; those before it, and the other batch, are not.
    told = {(row["batch"], row["shard"]) for row in kept}
    assert told == {("web", "00000"), ("web", "00001"), ("other", "00000")}


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Lake, list[str]]:
    """A lake in memory that lists the files that are opened for reading."""
    opened: list[str] = []
    really_open = MemoryFileSystem._open

    def listing_open(self: Any, path: str, mode: str = "rb", **more: Any) -> Any:
        if "r" in mode:
            opened.append(path)
        return really_open(self, path, mode, **more)

    monkeypatch.setattr(MemoryFileSystem, "_open", listing_open)
    return filled(tmp_path / "lake"), opened


def test_after_one_new_shard_that_shard_alone_is_read(remote: tuple[Lake, list[str]]) -> None:
    local, opened = remote
    memory = fsspec.filesystem("memory")
    memory.put(f"{local.root}/", "/grown/", recursive=True)
    lake = Lake("memory://grown")
    build_catalogue(lake)
    more = new_lake(Path(local.root).parent / "more")
    write_batch(more, "late", [Painted(name="q", texts=[Text(text=GOOD)])])
    memory.put(f"{more.root}/", "/grown/", recursive=True)
    opened.clear()
    build_catalogue(lake)
    memory.rm("/grown", recursive=True)
    new = {f"/grown/{file.relative_to(more.root)}" for file in Path(more.root).rglob("*.*")}
    assert {path for path in opened if not path.endswith(CATALOGUE)} <= new
    assert "/grown/web/late/00000.parquet" in opened


def test_when_nothing_is_new_nothing_is_read(tmp_path: Path) -> None:
    lake = filled(tmp_path / "lake")
    build_catalogue(lake)
    before = content(lake)
    build_catalogue(lake)
    assert built(lake)["files_read"] == 0
    assert content(lake) == before


def test_what_a_killed_stage_left_without_a_record_is_no_part_of_the_lake(tmp_path: Path) -> None:
    lake = filled(tmp_path / "lake")
    shard = Shard("web", "00001")
    Path(lake.root, lake.commit_path("captioning", CAPTIONER, shard)).unlink()
    Path(lake.root, "plans/web/00007.parquet").write_bytes(
        Path(lake.root, "plans/web/00000.parquet").read_bytes()
    )
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        (row,) = database.ask("select count(*) as n from caption where source = 'synthetic'")
        (planned,) = database.ask("select count(*) as n from planned where batch = 'web'")
    assert (row["n"], planned["n"]) == (12 - 3, 7)


def test_a_database_in_memory_is_filled_in_the_same_way(tmp_path: Path) -> None:
    lake = filled(tmp_path / "lake")
    with Database() as database:
        fill(database, lake)
        select(lake, Selection(policy="raw", batches=("web",)))
        fill(database, lake)
        rows = database.ask("select selection, count(*) as n from sample_final group by all")
    assert sorted(row["n"] for row in rows) == [5, 7, 14]
