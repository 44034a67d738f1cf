"""What failed and may pass has a second chance in shards of its own; a sample is a fair one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks import rows
from tasks.errors import InputError
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources.retrying import retry_source
from tasks.ingestion.sources.sampling import estimate, sampled
from tasks.ingestion.stage import plan
from tasks.ingestion.summary import summarise
from tasks.ingestion.tally import Tally
from tasks.ingestion.workers import ingest
from tasks.storage import Lake, open_lake
from tests.drawn import encoded
from tests.gated_site import gated_site
from tests.ingested import HOW, ingested, table
from tests.web import Answer, web

ONCE = Ingestion(allow_private_hosts=("127.0.0.1",), timeout_s=2, shard_size=5, retries=0)


def outcomes(lake: Lake, batch: str) -> dict[str, str]:
    found = rows.read_all(lake, f"web/{batch}/*.parquet", rows.WEB).to_pylist()
    return {row["url"].rsplit("/", 1)[1]: row["outcome"] for row in found}


def retried(lake: Lake, how: Ingestion = ONCE) -> str:
    source = retry_source(lake, "web")
    ingest(lake, plan(lake, source, how), how)
    return source.batch


def test_only_failures_that_may_pass_are_fetched_again_and_the_rest_stays(
    lake: Lake, tmp_path: Path
) -> None:
    answers = {f"/{n}.jpg": Answer(body=encoded(seed=n)) for n in range(3)}
    answers |= {f"/{code}.jpg": Answer(status=code) for code in (404, 410, 429, 503)}
    with web(answers) as site:
        ingested(lake, tmp_path, [f"{site.url}{path}" for path in answers], ONCE)
        before = {path: path.read_bytes() for path in Path(lake.root, "web/web").iterdir()}
        site.answers["/503.jpg"] = Answer(body=encoded(seed=9))
        first, asked = retried(lake), dict(site.asked)
        assert outcomes(lake, first) == {"429.jpg": "http_error", "503.jpg": "kept"}
        site.answers["/429.jpg"] = Answer(body=encoded(seed=10))
        second = retried(lake)
        assert outcomes(lake, second) == {"429.jpg": "kept"}
        assert {p: n for p, n in site.asked.items() if n > asked.get(p, 0)} == {
            "/429.jpg": asked["/429.jpg"] + 1,
            "/robots.txt": asked["/robots.txt"] + 1,
        }
    assert (first, second) == ("web-retry1", "web-retry2")
    assert {path: path.read_bytes() for path in Path(lake.root, "web/web").iterdir()} == before
    with pytest.raises(InputError, match="no candidate of batch 'web' failed in a way that may"):
        retried(lake)


def test_a_retry_that_was_stopped_goes_on_under_its_name(lake: Lake, tmp_path: Path) -> None:
    with web({"/503.jpg": Answer(status=503)}) as site:
        ingested(lake, tmp_path, [f"{site.url}/503.jpg"], ONCE)
    source = retry_source(lake, "web")
    plan(lake, source, ONCE)
    assert retry_source(lake, "web") == source
    assert source.batch == "web-retry1"


def test_a_batch_that_is_not_finished_is_not_retried(lake: Lake, tmp_path: Path) -> None:
    source = Source(batch="web", tables=(table(tmp_path, ["http://127.0.0.1:1/x.jpg"]),))
    plan(lake, source, ONCE)
    with pytest.raises(InputError, match="1 of 1 shards of batch 'web' are not ingested yet"):
        plan(lake, retry_source(lake, "web"), ONCE)


def test_a_retry_keeps_who_wrote_the_texts(lake: Lake, tmp_path: Path) -> None:
    with web({"/503.jpg": Answer(status=503)}) as site:
        given = table(tmp_path, [f"{site.url}/503.jpg"])
        source = Source(batch="seed", tables=(given,), kind="human")
        ingest(lake, plan(lake, source, ONCE), ONCE)
    assert retry_source(lake, "seed").kind == "human"


def test_a_sample_is_the_same_each_time_and_stands_for_the_whole(tmp_path: Path) -> None:
    keys: list[set[str]] = []
    with gated_site() as site:
        site.gate.set()
        given = site.table(tmp_path / "urls.csv", 40)
        source = Source(batch="web", tables=(str(given),))
        for number in range(2):
            lake = open_lake(str(tmp_path / str(number)), create=True)
            chosen = sampled(lake, source, HOW, 10)
            tally = ingest(lake, chosen.shards, HOW)
            found = rows.read_all(lake, "web/web/*.parquet", rows.WEB).to_pylist()
            keys.append({row["key"] for row in found})
        summary = summarise(lake, "web", tally, 36.0)
    assert keys[0] == keys[1]
    assert len(keys[0]) == 10
    everything = sorted(rows.key_of(f"{site.url}/{n}.jpg") for n in range(40))
    assert keys[0] == set(everything[:10])
    told = estimate(summary, chosen.candidates)
    assert (told["candidates"], told["sampled"], told["success_rate"]) == (40, 10, 1.0)
    assert told["hours"] == 0.04
    assert told["bytes_stored"] == 4 * sum(row["tar_size"] for row in found)


def command(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tasks.ingestion", *words, "--allow-private-hosts", "127.0.0.1"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(told, dict)
    return told


def test_the_command_samples_into_nothing_and_retries_by_name(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    answers = {"/a.jpg": Answer(body=encoded(seed=1)), "/b.jpg": Answer(status=503)}
    with web(answers) as site:
        given = table(tmp_path, [f"{site.url}{path}" for path in answers])
        told = command(given, str(lake), "--sample", "1")
        assert told["estimate"]["candidates"] == 2
        assert not lake.exists()
        assert command(given, str(lake), "--retries", "0")["kept"] == 1
        site.answers["/b.jpg"] = Answer(body=encoded(seed=2))
        told = command("--retry-failed", str(lake))
        assert (told["batch"], told["outcomes"]) == ("web-retry1", {"kept": 1})


def test_nothing_done_is_no_division_by_nothing(lake: Lake, tmp_path: Path) -> None:
    with web({"/404.jpg": Answer(status=404)}) as site:
        ingested(lake, tmp_path, [f"{site.url}/404.jpg"], ONCE)
    told = summarise(lake, "web", Tally(), 0.0).to_json()
    assert (told["kept"], told["images_per_s"], told["cpu_ms_per_url"]) == (0, 0.0, {})
