"""`python -m tasks.capfilt` offers everything, says what came of it, and ends with the truth."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.capfilt.__main__ import main
from tasks.commands import run_command
from tasks.storage import Lake, Shard
from tests.capfilt_lake import CAPTIONER, FILTER, capfilt_lake, read

SHORT = ["--max-length", "9", "--min-length", "2"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return capfilt_lake(tmp_path / "lake", counts=(7, 4))


def typed(lake: Lake, *options: str) -> list[str]:
    return [lake.root, "--captioner", CAPTIONER, "--filter", FILTER, *SHORT, *options]


def summary_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_the_last_line_of_stdout_is_what_there_is(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, typed(lake)) == 0
    found = summary_of(capsys)
    assert found["batch"] == "web"
    assert found["shards"] == {"planned": 2, "done_now": 2, "quarantined": {}, "not_ingested": 0}
    assert found["rows"]["captions"] == 11
    assert found["rows"]["scores"] == 22
    assert found["this_run"]["pictures"] == 11
    assert set(found["this_run"]["accepted"]) == {"web", "synthetic"}
    assert lake.committed("scoring", found["scores"], "web") == lake.planned("web")
    assert run_command(main, typed(lake)) == 0
    again = summary_of(capsys)
    assert again["rows"] == found["rows"]
    assert (again["captions"], again["scores"]) == (found["captions"], found["scores"])
    assert again["shards"]["done_now"] == again["this_run"]["pictures"] == 0


def test_how_fast_it_is_asked_to_be_does_not_rename_the_runs(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, typed(lake)) == 0
    before = summary_of(capsys)["captions"]
    others = ["--batch-size", "3", "--decoders", "2", "--resize", "host"]
    assert run_command(main, typed(lake, *others)) == 0
    assert summary_of(capsys)["captions"] == before
    assert run_command(main, typed(lake, "--seed", "1")) == 0
    assert summary_of(capsys)["captions"] != before


def test_every_choice_reaches_the_rows_and_the_record(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {
        "--method": "nucleus",
        "--top-k": "7",
        "--top-p": "0.5",
        "--repetition-penalty": "1.3",
        "--no-repeat-ngram": "2",
        "--prompt": "a red",
        "--captions-per-image": "3",
        "--seed": "11",
        "--text-length": "13",
        "--dtype": "bfloat16",
    }
    words = [word for pair in options.items() for word in pair]
    assert run_command(main, typed(lake, *words)) == 0
    found = summary_of(capsys)
    rows = read(lake, "captions", found["captions"], Shard("web", "00000"))
    assert len(rows) == 21
    decoding = json.loads(rows[0]["decoding"])
    assert decoding == {
        "method": "nucleus",
        "top_k": 7,
        "top_p": 0.5,
        "beams": 3,
        "max_length": 9,
        "min_length": 2,
        "repetition_penalty": 1.3,
        "no_repeat_ngram": 2,
        "prompt": "a red",
    }
    record = lake.commit_of("captioning", found["captions"], Shard("web", "00000"))
    kept = json.loads(record.versions["settings"])
    assert kept == found["settings"]
    assert (kept["seed"], kept["max_length"], kept["captions_per_image"]) == (11, 13, 3)
    assert record.versions["dtype"] == "bfloat16"
    assert record.versions["captioner"].startswith(f"{CAPTIONER}#")
    assert record.versions["filter"].startswith(f"{FILTER}#")


@pytest.mark.parametrize("method", ["beam", "greedy"])
def test_other_ways_of_writing_are_offered(
    lake: Lake, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, typed(lake, "--method", method, "--beams", "2")) == 0
    assert summary_of(capsys)["settings"]["decoding"]["method"] == method


def test_parts_divide_the_shards_among_processes(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, typed(lake, "--part", "2/2")) == 0
    found = summary_of(capsys)
    assert found["shards"]["planned"] == found["shards"]["done_now"] == 1
    assert lake.committed("scoring", found["scores"], "web") == [Shard("web", "00001")]


def test_a_shard_in_quarantine_makes_the_status_1_and_a_line(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(lake.path(lake.web_tar(Shard("web", "00000")))).unlink()
    with pytest.raises(SystemExit) as ended:
        main(typed(lake))
    assert ended.value.code == 1
    said = capsys.readouterr()
    found = json.loads(said.out.splitlines()[-1])
    assert found["shards"]["done_now"] == 1
    assert "00000.tar is missing" in found["shards"]["quarantined"]["web/00000"]
    line = said.err.strip().splitlines()[-1]
    assert line.startswith("1 of 2 shards of web could not be read and are in quarantine")
    assert "web/00000" in line


def test_shards_that_are_not_ingested_yet_are_named_and_the_others_done(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(lake.path(lake.commit_path("ingestion", "ingestion", Shard("web", "00001")))).unlink()
    with pytest.raises(SystemExit) as ended:
        main(typed(lake))
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["shards"]["not_ingested"] == 1
    assert "1 of 2 shards of web are not ingested yet" in said.err
    assert lake.folders("commits") == ["canary", "captioning", "ingestion", "scoring"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--method", "guess"], "method is one of nucleus, beam, greedy, not 'guess'"),
        (["--top-p", "1.5"], "top_p is a probability"),
        (["--dtype", "int8"], "dtype is one of auto, float32, bfloat16, float16, not 'int8'"),
        (["--resize", "never"], "resize is one of auto, host, device, not 'never'"),
        (["--part", "3/2"], "part is I/N with I from 1 to N, such as 2/4, not '3/2'"),
        (["--captions-per-image", "2", "--method", "beam"], "beam search finds one caption"),
        (["--decoders", "-1"], "decoders is 0 or more, not -1"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_one_line(
    lake: Lake, options: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, typed(lake, *options)) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert lake.folders("captions") == ["ingestion"]


@pytest.mark.slow
def test_a_killed_run_is_finished_by_the_next_one_with_equal_rows(tmp_path: Path) -> None:
    counts = (5,) * 40
    whole, cut = (capfilt_lake(tmp_path / name, counts=counts) for name in ("whole", "cut"))
    command = [sys.executable, "-m", "tasks.capfilt", *typed(cut), "--batch-size", "2"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waited_until = time.monotonic() + 120
    while not cut.glob("commits/scoring/*/web/00002.json"):
        assert time.monotonic() < waited_until
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    done = {path: cut.read_bytes(path) for path in cut.glob("commits/scoring/*/web/*.json")}
    assert 3 <= len(done) < 40
    assert run_command(main, typed(cut)) == 0
    assert run_command(main, typed(whole)) == 0
    assert all(cut.read_bytes(path) == content for path, content in done.items())
    (run,) = cut.folders("commits/captioning")
    assert whole.folders("commits/captioning") == [run]
    for shard in whole.planned("web"):
        left, right = (read(one, "captions", run, shard) for one in (cut, whole))
        assert [row["text"] for row in left] == [row["text"] for row in right]
        assert len(left) == 5
