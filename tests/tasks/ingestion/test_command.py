"""The command needs no Prefect, tells the truth in its summary and ends bad input in one line."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gated_site import gated_site
from tests.ingested import table
from tests.web import unused_port

# Files may grow to 40 kB: a disk that is full in the middle of a shard, without a disk.
ON_A_SMALL_DISK = (
    "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); sys.argv = sys.argv[1:]; "
    "runpy.run_module('tasks.ingestion', run_name='__main__', alter_sys=True)"
)
OPENED = ("--allow-private-hosts", "127.0.0.1")


def told(
    lake: Path,
    *inputs: str,
    options: tuple[str, ...] = (),
    program: tuple[str, ...] = ("-m", "tasks.ingestion"),
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *program, *inputs, str(lake), *options, *OPENED]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def test_the_summary_counts_every_outcome_and_a_second_run_says_the_same(tmp_path: Path) -> None:
    with gated_site() as site:
        site.gate.set()
        given = site.table(tmp_path / "urls.csv", 5)
        given.write_text(given.read_text() + f"{site.url}/gone.jpg,no picture\n")
        done = told(tmp_path / "lake", str(given))
        asked = site.asked.copy()
        again = told(tmp_path / "lake", str(given))
        assert site.asked == asked
    assert (done.returncode, again.returncode) == (0, 0), done.stderr
    counts = ("planned", "kept", "outcomes", "http_statuses", "duplicates", "bytes_stored")
    first, second = (json.loads(last_line(one.stdout)) for one in (done, again))
    assert first["outcomes"] == {"kept": 5, "http_error": 1}
    assert first["http_statuses"] == {"404": 1}
    assert (first["planned"], first["kept"], first["done_now"]) == (6, 5, 6)
    assert set(first["cpu_ms_per_url"]) == {"start", "fetch", "decode", "write"}
    assert (second["done_now"], second["cpu_ms_per_url"]) == (0, {})
    assert [second[name] for name in counts] == [first[name] for name in counts]
    assert [line.split() for line in done.stderr.splitlines()[-2:]] == [
        ["5", "kept"],
        ["1", "http_error"],
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.csv"], "missing.csv does not exist"),
        (["{folder}/empty.csv"], "is empty"),
        (["{folder}/words.html"], "show no picture that may be used"),
        (["{folder}/words.doc"], "does not exist or holds nothing that can be read"),
        (["/no/such/folder"], "does not exist or holds nothing that can be read"),
        (["http://127.0.0.1:{port}/"], "cannot be read: connect"),
        (["http://10.0.0.1/"], "cannot be read: ssrf_blocked"),
        ([], "neither pages nor tables"),
        (["x.csv", "--image-size", "0"], "image_size is above 0, not 0"),
        (["x.csv", "--processes", "0"], "processes is 1 or more, not 0"),
        (["x.csv", "--kind", "robot"], "kind is one of web, human, not 'robot'"),
        (["x.csv", "--sample", "0"], "a sample is 1 candidate or more, not 0"),
        (["--retry-failed"], "there is no lake at"),
        (["x.csv", "--retry-failed"], "a retry reads the lake alone; leave out x.csv"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2_and_no_batch(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "empty.csv").write_text("url,caption\n")
    (tmp_path / "words.html").write_text("<p>only words")
    known = {"folder": tmp_path, "port": unused_port()}
    given = [argument.format(**known) for argument in arguments]
    inputs = list(itertools.takewhile(lambda word: not word.startswith("--"), given))
    done = told(tmp_path / "lake", *inputs, options=tuple(given[len(inputs) :]))
    assert done.returncode == 2
    assert said in last_line(done.stderr)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "lake" / "plans").exists()


def test_another_source_for_a_planned_batch_is_one_line(tmp_path: Path) -> None:
    with gated_site() as site:
        site.gate.set()
        first, other = (str(site.table(tmp_path / name, 2)) for name in ("a.csv", "b.csv"))
        assert told(tmp_path / "lake", first).returncode == 0
        done = told(tmp_path / "lake", other)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "planned from another source" in line
    assert "b.csv" in line


def test_a_batch_of_which_nothing_is_kept_ends_with_another_exit_code_and_says_why(
    tmp_path: Path,
) -> None:
    urls = table(tmp_path, [f"http://127.0.0.1:{unused_port()}/x.jpg"])
    done = told(tmp_path / "lake", urls)
    assert done.returncode == 1
    assert "1  connect" in done.stderr
    assert json.loads(done.stdout)["kept"] == 0
    assert "kept no picture at all" in done.stderr


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    with gated_site() as site:
        site.gate.set()
        given = str(site.table(tmp_path / "urls.csv", 40))
        lake = tmp_path / "lake"
        done = told(lake, given, program=("-c", ON_A_SMALL_DISK, "x"))
        assert done.returncode == 2, done.stderr
        assert "no space left" in last_line(done.stderr)
        assert "Traceback" not in done.stderr
        left = [path.name for path in lake.rglob("*") if path.is_file()]
        assert sorted(left) == ["00000.parquet", "plan.json"]  # the plan, which was whole before
        freed = told(lake, given)
    assert json.loads(freed.stdout)["outcomes"] == {"kept": 40}


def test_a_lake_that_cannot_be_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file")
    given = table(tmp_path, ["http://127.0.0.1:1/x.jpg"])
    done = told(tmp_path / "lake", given)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "cannot write under" in line


def test_a_folder_of_the_lake_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    (lake / "web").write_text("a file")
    with gated_site() as site:
        site.gate.set()
        done = told(lake, str(site.table(tmp_path / "urls.csv", 2)))
    assert done.returncode == 2
    assert "cannot write under" in last_line(done.stderr)
    assert "Traceback" not in done.stderr
    assert not (lake / "commits").exists()
