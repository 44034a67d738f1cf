"""quality.duckdb comes from the lake's files alone, appears whole, and never locks a reader out."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tasks.catalogue.building import CATALOGUE, build_catalogue, fill, open_catalogue
from tasks.database import Database
from tasks.errors import LakeError
from tasks.selection import Selection, select
from tasks.storage import Lake
from tests.lakes import Painted, Text, key_of, new_lake, write_batch
from tests.selecting import ALSO_GOOD, GOOD, blip

BUILD = [sys.executable, "-m", "tasks.catalogue.building"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = new_lake(tmp_path / "lake")
    texts = [Text(text=GOOD, itm=0.9), Text(text=ALSO_GOOD, source="synthetic", itm=0.2)]
    write_batch(made, "web", [Painted(name=f"p{n}", texts=texts) for n in range(7)], per_shard=3)
    select(made, blip())
    return made


def counts(database: Database) -> dict[str, int]:
    return {row["table_name"]: row["n"] for row in database.rows("schema/row_counts")}


def kept(lake: Lake) -> int:
    with open_catalogue(lake) as database:
        ((row),) = database.ask("select count(*) as n from sample_final where kept")
        return int(row["n"])


def test_every_row_of_the_lake_is_in_it(lake: Lake) -> None:
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        found = counts(database)
    wanted = {"sample": 7, "planned": 7, "caption": 14, "score": 14, "selection": 1}
    assert {name: found[name] for name in wanted} == wanted
    assert kept(lake) == 7


def test_every_table_and_column_says_what_it_holds(lake: Lake) -> None:
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        tables = database.ask(
            "select table_name, comment from duckdb_tables() where not internal "
            "union all select view_name, comment from duckdb_views() where not internal"
        )
        columns = database.ask(
            "select table_name, column_name from duckdb_columns() "
            "where not internal and comment is null"
        )
    assert len(tables) > 20
    assert [row["table_name"] for row in tables if not row["comment"]] == []
    assert columns == []


def test_every_view_and_macro_answers(lake: Lake) -> None:
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        views = database.ask("select view_name from duckdb_views() where not internal")
        assert len(views) >= 15
        for view in views:
            database.ask(f'from "{view["view_name"]}"')


def test_an_empty_lake_gives_an_empty_catalogue(tmp_path: Path) -> None:
    empty = new_lake(tmp_path / "empty")
    build_catalogue(empty)
    with open_catalogue(empty) as database:
        found = counts(database)
        assert database.ask("from v_funnel") == []
    assert not [name for name in ("sample", "caption", "decision") if found.get(name)]


def test_two_builds_at_once_end_in_one_whole_catalogue(lake: Lake) -> None:
    both = [subprocess.Popen([*BUILD, lake.root], stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert kept(lake) == 7
    assert [file.name for file in Path(lake.root).iterdir() if CATALOGUE in file.name] == [
        CATALOGUE
    ]


def test_a_lake_that_is_missing_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [*BUILD, str(tmp_path / "no")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert str(tmp_path / "no") in line


def test_a_catalogue_that_was_never_built_is_one_line(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"is not in .* yet; run the quality stage"):
        read_here(lake)


def read_here(lake: Lake) -> int:
    with open_catalogue(lake) as database:
        return counts(database)["sample"]


@pytest.fixture
def remote(lake: Lake) -> Iterator[Lake]:
    """The same lake behind a file system that is not this disk's."""
    memory = fsspec.filesystem("memory")
    memory.put(lake.root + "/", "/catalogue-lake/", recursive=True)
    yield Lake("memory://catalogue-lake")
    memory.rm("/catalogue-lake", recursive=True)


def test_a_lake_on_an_object_store_is_read_through_fsspec(remote: Lake) -> None:
    with Database() as database:
        fill(database, remote)
        assert counts(database)["sample"] == 7
        (row,) = database.ask("select count(*) as n from sample_final where kept")
    assert row["n"] == 7


def test_why_tells_each_text_of_a_picture_with_rule_value_and_threshold(lake: Lake) -> None:
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        told = database.ask(f"from why('{key_of('web', 'p0')}')")
        dropped = database.ask(f"from why_dropped('{key_of('web', 'p0')}')")
    by_source = {row["source"]: row for row in told if row["verdict"] in (None, "drop")}
    assert by_source["web"]["kept"]
    (line,) = dropped
    assert (line["source"], line["rule"]) == ("synthetic", "itm_probability")
    assert line["value"] == pytest.approx(0.2)
    assert line["threshold"] == pytest.approx(0.5)


def test_the_difference_of_two_selections_is_what_one_kept_and_the_other_did_not(
    lake: Lake,
) -> None:
    strict = select(lake, blip())
    raw = select(lake, Selection(policy="raw", batches=("web",)))
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        assert database.ask(f"from diff('{strict.id}', '{strict.id}')") == []
        # raw knows no synthetic texts, and both keep every web text
        assert database.ask(f"from diff('{strict.id}', '{raw.id}')") == []
        assert database.ask(f"from ancestry('{strict.id}')")[0]["made_from"] == "web"


def test_a_batch_has_not_drifted_from_itself_and_has_from_another(lake: Lake) -> None:
    short = [Painted(name=f"s{n}", texts=[Text(text="a dog " * (n % 3 + 1))]) for n in range(40)]
    long = [Painted(name=f"l{n}", texts=[Text(text="a dog " * (n % 3 + 9))]) for n in range(40)]
    write_batch(lake, "short", short)
    write_batch(lake, "long", long)
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        (same,) = database.ask("from drift_psi('short', 'short', 'n_words')")
        (other,) = database.ask("from drift_psi('short', 'long', 'n_words')")
    assert same["psi"] == pytest.approx(0)
    assert other["psi"] > 1
