"""The engine goes on past slow servers, ends with its parent, and says what it spent where."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tasks import rows
from tasks.errors import LakeError
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.stage import plan
from tasks.ingestion.tally import Tally
from tasks.ingestion.workers import ingest, share
from tasks.storage import Lake, Shard, open_lake
from tests.gated_site import gated_site
from tests.ingested import HOW, web_rows

OPENED = ("--allow-private-hosts", "127.0.0.1")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"), create=True)


def started(lake: Path, table: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tasks.ingestion", str(table), str(lake), *OPENED, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never came to it"
        time.sleep(0.02)


def test_shards_go_on_while_one_waits_for_its_last_server(lake: Lake, tmp_path: Path) -> None:
    with gated_site() as site:
        table = site.table(tmp_path / "urls.csv", 15)
        shards = plan(lake, Source(batch="web", tables=(str(table),)), HOW)
        first = rows.read_rows(lake, lake.rows("plans", "", shards[0]))["url"][0].as_py()
        site.held = {first.removeprefix(site.url)}
        running = threading.Thread(target=ingest, args=(lake, shards, HOW))
        running.start()
        wait_for(lambda: len(lake.committed("ingestion", "ingestion", "web")) == 2)
        assert not lake.is_committed("ingestion", "ingestion", shards[0])
        site.gate.set()
        running.join()
    assert lake.committed("ingestion", "ingestion", "web") == shards
    assert len(web_rows(lake)) == 15


@pytest.mark.parametrize("processes", [1, 2])
def test_sums_of_all_processes_are_reported_and_add_up(
    lake: Lake, tmp_path: Path, processes: int
) -> None:
    seen: list[Tally] = []
    with gated_site() as site:
        site.gate.set()
        table = site.table(tmp_path / "urls.csv", 12)
        shards = plan(lake, Source(batch="web", tables=(str(table),)), HOW)
        total = ingest(lake, shards, HOW, processes, seen.append)
        assert ingest(lake, shards, HOW, processes).done == 0
    assert seen[-1] == total
    found = web_rows(lake)
    assert (total.planned, total.done, total.kept, total.shards) == (12, 12, 12, 3)
    assert total.bytes_fetched == sum(row["bytes"] for row in found)
    assert total.bytes_stored == sum(row["tar_size"] for row in found)
    assert total.waiting.total() == 0
    assert min(total.cpu_s.values()) > 0
    assert all(times == 1 for path, times in site.asked.items() if path != "/robots.txt")
    assert site.asked["/robots.txt"] <= processes


def test_processes_share_the_limits() -> None:
    how = Ingestion(concurrency=65, per_host_concurrency=8)
    assert (share(how, 2).concurrency, share(how, 2).per_host_concurrency) == (33, 4)
    assert share(how, 16).per_host_concurrency == 1


def test_an_error_of_a_process_ends_the_run_in_its_one_line(lake: Lake, tmp_path: Path) -> None:
    with gated_site() as site:
        site.gate.set()
        table = site.table(tmp_path / "urls.csv", 12)
        shards = plan(lake, Source(batch="web", tables=(str(table),)), HOW)
        damaged = Path(lake.path(lake.rows("plans", "", shards[1])))
        damaged.write_bytes(b"no table")
        with pytest.raises(LakeError, match="not a readable Parquet file"):
            ingest(lake, shards, HOW, processes=2)


def test_a_killed_process_is_told_and_the_next_run_finishes(tmp_path: Path) -> None:
    with gated_site() as site:
        site.held = {f"/{number}.jpg" for number in range(24)}
        table = site.table(tmp_path / "urls.csv", 24)
        options = ("--processes", "2", "--shard-size", "3", "--per-host-concurrency", "48")
        process = started(tmp_path / "lake", table, *options)
        wait_for(lambda: len(site.asked) == 25)  # four shards each, as many as one opens
        children = psutil.Process(process.pid).children()
        assert len(children) == 1
        children[0].send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 2, said
        assert "killed: is memory short?" in said.strip().splitlines()[-1]
        assert not any(child.is_running() for child in children)
        site.gate.set()
        again = started(tmp_path / "lake", table, *options)
        summary, _ = again.communicate(timeout=60)
    assert json.loads(summary)["outcomes"] == {"kept": 24}


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_leaves_no_process_and_no_part(
    tmp_path: Path, number: signal.Signals, code: int, processes: str
) -> None:
    lake = tmp_path / "lake"
    with gated_site() as site:
        site.held = {"/3.jpg"}
        table = site.table(tmp_path / "urls.csv", 12)
        process = started(lake, table, "--processes", processes, "--shard-size", "4")
        wait_for(lambda: site.asked["/3.jpg"])
        children = psutil.Process(process.pid).children()
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        site.gate.set()
    assert process.returncode == code
    assert "what is committed stays" in said
    assert not any(child.is_running() for child in children)
    assert not list(lake.rglob("*.part"))


def test_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with gated_site() as site:
        site.held = {"/3.jpg"}
        table = site.table(tmp_path / "urls.csv", 12)
        process = started(tmp_path / "lake", table, "--processes", "2", "--shard-size", "4")
        wait_for(lambda: site.asked["/3.jpg"])
        children = psutil.Process(process.pid).children()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        gone, alive = psutil.wait_procs(children, timeout=30)
        site.gate.set()
    assert (len(gone), alive) == (1, [])


def test_a_shards_statistics_are_those_img2dataset_writes(lake: Lake, tmp_path: Path) -> None:
    with gated_site() as site:
        site.gate.set()
        table = site.table(tmp_path / "urls.csv", 3)
        table.write_text(table.read_text() + f"{site.url}/gone.jpg,no picture\n")
        ingest(lake, plan(lake, Source(batch="web", tables=(str(table),)), HOW), HOW)
    found = lake.read_json("web/web/00000_stats.json")
    took_s = found.pop("end_time") - found.pop("start_time")
    assert found.pop("duration") == pytest.approx(took_s, abs=1e-5)
    assert found == {
        "count": 4,
        "successes": 3,
        "failed_to_download": 1,
        "failed_to_resize": 0,
        "status_dict": {"http_error": 1, "success": 3},
    }
    record = lake.commit_of("ingestion", "ingestion", Shard("web", "00000"))
    assert "web/web/00000_stats.json" in {file["path"] for file in record.files}
