"""The catalogue is opened whole or refused in one line; who reads it or holds it stops no build."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from tasks.catalogue.building import CATALOGUE, build_catalogue, open_catalogue
from tasks.catalogue.opening import VERSION
from tasks.errors import LakeError
from tasks.selection import select
from tasks.storage import FORMAT, Lake, Shard
from tests.lakes import Painted, Text, new_lake, write_batch
from tests.selecting import GOOD, blip

BUILD = [sys.executable, "-m", "tasks.catalogue.building"]

READER = """
import duckdb, sys
held = duckdb.connect(sys.argv[1], read_only=True)
count = lambda: held.sql("select count(*) from sample").fetchall()[0][0]
print(count(), flush=True)
for _ in sys.stdin:
    print(count(), flush=True)
"""
WRITER = """
import duckdb, sys
held = duckdb.connect(sys.argv[1])
held.execute("create or replace table mine as select 1 as one")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = new_lake(tmp_path_factory.mktemp("opening") / "lake")
    texts = [Text(text=GOOD, itm=0.9)]
    write_batch(lake, "web", [Painted(name=f"p{n}", texts=texts) for n in range(7)], per_shard=3)
    select(lake, blip(caption_runs=()))
    build_catalogue(lake)
    return lake


@pytest.fixture
def lake(template: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(template.root, tmp_path / "lake")
    return Lake(str(tmp_path / "lake"))


def samples(lake: Lake) -> int:
    with open_catalogue(lake) as database:
        ((row),) = database.ask("select count(*) as n from sample")
        return int(row["n"])


def more(lake: Lake, count: int = 2) -> None:
    write_batch(
        lake, "more", [Painted(name=f"q{n}", texts=[Text(text=GOOD)]) for n in range(count)]
    )


def holder(code: str, lake: Lake) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(Path(lake.root, CATALOGUE))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ask(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    process.stdin.write("again\n")
    process.stdin.flush()
    return said(process)


def test_a_reader_in_another_process_neither_stops_a_build_nor_is_stopped(lake: Lake) -> None:
    with holder(READER, lake) as reader:
        assert said(reader) == "7"
        more(lake)
        build_catalogue(lake)
        assert ask(reader) == "7"
        assert samples(lake) == 9
        with holder(READER, lake) as newcomer:
            assert said(newcomer) == "9"
            newcomer.communicate()
        reader.communicate()


def test_while_a_process_writes_to_it_readers_and_builds_are_told_so_and_nothing_is_lost(
    lake: Lake,
) -> None:
    with holder(WRITER, lake) as writer:
        assert said(writer) == "held"
        more(lake)
        for use, told in ((samples, "close what has it open for"), (build_catalogue, "open for w")):
            with pytest.raises(LakeError, match=told) as caught:
                use(lake)
            assert "\n" not in str(caught.value)
        writer.communicate()
    with open_catalogue(lake) as database:
        assert database.ask("select one from mine") == [{"one": 1}]
    build_catalogue(lake)
    assert samples(lake) == 9


def test_what_a_killed_writer_left_beside_it_does_not_spoil_the_next_one(lake: Lake) -> None:
    with holder(WRITER, lake) as writer:
        assert said(writer) == "held"
        writer.kill()
    assert Path(lake.root, f"{CATALOGUE}.wal").exists()
    more(lake)
    build_catalogue(lake)
    assert samples(lake) == 9


@pytest.mark.parametrize(
    "pause_s",
    [0.3, *(pytest.param(pause, marks=pytest.mark.slow) for pause in (0.0, 0.1, 0.7, 1.5))],
)
def test_a_build_killed_at_any_moment_leaves_the_old_one_and_no_litter(
    lake: Lake, pause_s: float
) -> None:
    more(lake, 31)
    process = subprocess.Popen([*BUILD, lake.root], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(Path(lake.root).glob(f".{CATALOGUE}.*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(pause_s)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert samples(lake) in (7, 38)  # 38 when the build was done before the signal came
    build_catalogue(lake)
    assert samples(lake) == 38
    assert [file.name for file in Path(lake.root).glob(f"*{CATALOGUE}*")] == [CATALOGUE]
    assert not list(Path(lake.root).glob(f".{CATALOGUE}*"))


def test_what_a_killed_build_kept_beside_its_file_is_removed_and_that_of_a_running_one_is_not(
    lake: Lake,
) -> None:
    root = Path(lake.root)
    gone = f".{CATALOGUE}.{socket.gethostname()}.{2**22 + 1}.00000000.part"
    mine = f".{CATALOGUE}.{socket.gethostname()}.{os.getpid()}.00000000.part"
    for part in (gone, mine):
        for name in (part, f"{part}.wal"):
            (root / name).write_bytes(b"")
        (root / f"{part}.tmp").mkdir()
    build_catalogue(lake)
    left = {file.name for file in root.glob(f".{CATALOGUE}*")}
    assert left == {mine, f"{mine}.wal", f"{mine}.tmp"}


def change(lake: Lake, statement: str) -> None:
    connection = duckdb.connect(str(Path(lake.root, CATALOGUE)))
    connection.execute(statement)
    connection.close()


def test_a_catalogue_of_an_older_version_is_built_anew_and_not_read_as_it_is(lake: Lake) -> None:
    change(lake, "drop table build")
    with pytest.raises(LakeError, match=f"of version 1 and this Caplift reads {VERSION}"):
        samples(lake)
    build_catalogue(lake)
    assert samples(lake) == 7


def test_a_catalogue_made_by_other_statements_is_built_anew(lake: Lake) -> None:
    change(lake, "update build set made_of = 'others'; alter table sample drop column entropy")
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        assert database.ask("select count(entropy) as n from sample")[0]["n"] == 7


def test_a_folder_in_its_place_is_one_line_for_builds_and_readers(lake: Lake) -> None:
    Path(lake.root, CATALOGUE).unlink()
    Path(lake.root, CATALOGUE).mkdir()
    with pytest.raises(LakeError, match="is a folder, not a database"):
        build_catalogue(lake)
    with pytest.raises(LakeError, match="cannot be opened"):
        samples(lake)
    assert [path.name for path in Path(lake.root).glob(".*")] == []


def test_a_catalogue_of_a_later_version_is_refused_in_one_line_and_stays(lake: Lake) -> None:
    change(lake, f"update build set version = {VERSION + 1}")
    before = Path(lake.root, CATALOGUE).read_bytes()
    for use in (build_catalogue, samples):
        with pytest.raises(LakeError, match=f"is of version {VERSION + 1} and") as caught:
            use(lake)
        assert "\n" not in str(caught.value)
    assert Path(lake.root, CATALOGUE).read_bytes() == before


@pytest.mark.parametrize("size", [0, 100, 20_000])
def test_half_a_catalogue_is_refused_to_readers_and_built_anew(lake: Lake, size: int) -> None:
    path = Path(lake.root, CATALOGUE)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(LakeError, match=r"cannot be opened|of version 1"):
        samples(lake)
    build_catalogue(lake)
    assert samples(lake) == 7


def test_a_record_of_a_later_format_is_refused_in_one_line(lake: Lake) -> None:
    path = lake.commit_path("ingestion", "ingestion", Shard("web", "00001"))
    record = lake.read_json(path)
    lake.publish_json(path, {**record, "format": FORMAT + 1})
    with pytest.raises(LakeError, match=f"is of format {FORMAT + 1} and") as caught:
        build_catalogue(lake)
    assert "\n" not in str(caught.value)
    with pytest.raises(LakeError, match=f"reads up to {FORMAT}"):
        lake.commit_of("ingestion", "ingestion", Shard("web", "00001"))
    assert samples(lake) == 7
    lake.publish_json(path, {name: value for name, value in record.items() if name != "format"})
    build_catalogue(lake)
    assert samples(lake) == 7


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("web/web/00001.parquet", None, "names it; remove that record and run its stage again"),
        ("web/web/00001.parquet", 900, "remove the damaged file with its commit record"),
        ("captions/ingestion/web/00002.parquet", 0, "remove the damaged file with its commit"),
        ("commits/ingestion/ingestion/web/00000.json", 40, "is not whole"),
        ("plans/web/plan.json", 3, "is not whole"),
    ],
)
def test_a_file_that_is_missing_or_half_written_is_one_line_and_the_old_catalogue_stays(
    lake: Lake, file: str, content: int | None, told: str
) -> None:
    path = Path(lake.root, file)
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(whole[:content])
    done = subprocess.run([*BUILD, lake.root], capture_output=True, text=True, check=False)
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 2
    assert file in line
    assert told in line
    assert samples(lake) == 7
    path.write_bytes(whole)
    build_catalogue(lake)
    assert samples(lake) == 7
