"""A lake on an object store: tables come from it, shards go to it, a second run finds them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.gated_site import GatedSite, gated_site
from tests.object_store import STORES, empty_store, new_bucket, s3_server
from tests.stand import ROOT, eventually, free_port


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty store on loopback."""
    with empty_store(request.param, monkeypatch) as address:
        yield address


@pytest.fixture
def site() -> Iterator[GatedSite]:
    with gated_site() as served:
        served.gate.set()
        yield served


def begun(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tasks.ingestion", *words, "--allow-private-hosts", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def ingested(*words: str) -> dict[str, Any]:
    running = begun(*words)
    out, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    told = json.loads(out.strip().splitlines()[-1])
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_table_on_a_store_becomes_shards_on_a_store(
    store: str, site: GatedSite, tmp_path: Path, processes: str
) -> None:
    table = site.table(tmp_path / "urls.csv", 12)
    files = fsspec.core.url_to_fs(store)[0]
    files.put(str(table), f"{store}/tables/urls.csv")
    words = (f"{store}/tables/urls.csv", f"{store}/lake", "--shard-size", "5")
    first = ingested(*words, "--processes", processes)
    assert (first["outcomes"], first["done_now"]) == ({"kept": 12}, 12)
    asked = sum(site.asked.values())
    again = ingested(*words, "--processes", processes)
    assert (again["outcomes"], again["done_now"]) == ({"kept": 12}, 0)
    assert sum(site.asked.values()) == asked
    names = {name.partition("/lake/")[2] for name in files.find(f"{store}/lake")}
    assert {f"web/web/0000{n}.{end}" for n in range(3) for end in ("tar", "parquet")} <= names
    assert not [name for name in names if name.endswith(".part")]
    files.rm(f"{store}/lake/commits/ingestion/ingestion/web/00001.json")
    assert ingested(*words, "--processes", processes)["done_now"] == 5


def test_a_table_that_is_not_in_the_store_is_one_line(store: str) -> None:
    table = f"{store}/no.csv"
    running = begun(table, f"{store}/lake")
    (line,) = running.communicate(timeout=60)[1].strip().splitlines()
    assert running.returncode == 2
    assert f"{table} does not exist" in line
    assert not fsspec.core.url_to_fs(store)[0].find(store)


@pytest.mark.slow  # each library tries again for a while
@pytest.mark.parametrize("address", ["s3://lakes/lake", "gs://lakes/lake"])
def test_a_store_that_nobody_serves_is_one_line(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "urls.csv"
    table.write_text("url,caption\nhttp://127.0.0.1/a.jpg,a red house\n")
    nowhere = f"http://127.0.0.1:{free_port()}"
    for name, value in (
        ("AWS_ENDPOINT_URL", nowhere),
        ("AWS_ACCESS_KEY_ID", "anyone"),
        ("AWS_SECRET_ACCESS_KEY", "anything"),
        ("STORAGE_EMULATOR_HOST", nowhere),
    ):
        monkeypatch.setenv(name, value)
    running = begun(str(table), address)
    (line,) = running.communicate(timeout=120)[1].strip().splitlines()
    assert running.returncode == 2
    assert line.startswith("the object store cannot be reached or refuses (")
    assert nowhere.removeprefix("http://") in line


@pytest.mark.parametrize(
    ("address", "wanted"), [("az://lakes/lake", "Install adlfs"), ("ftps3://lakes/lake", "ftps3")]
)
def test_an_address_that_nothing_here_opens_is_one_line(
    address: str, wanted: str, tmp_path: Path
) -> None:
    table = tmp_path / "urls.csv"
    table.write_text("url,caption\nhttp://127.0.0.1/a.jpg,a red house\n")
    running = begun(str(table), address)
    (line,) = running.communicate(timeout=60)[1].strip().splitlines()
    assert running.returncode == 2
    assert line.startswith(f"{address} cannot be opened (")
    assert wanted in line


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_store_that_goes_away_is_one_line_and_a_second_run_ends_the_work(
    site: GatedSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: str
) -> None:
    site.gate.clear()
    site.held = {f"/{number}.jpg" for number in range(12)}
    port = free_port()
    words = ["--shard-size", "4", "--processes", processes]
    with s3_server(port):
        lake = f"s3://{new_bucket(port, monkeypatch).name}/lake"
        running = begun(str(site.table(tmp_path / "urls.csv", 12)), lake, *words)
        eventually("pictures are asked for", lambda: set(site.asked) & site.held)
    site.gate.set()
    errors = running.communicate(timeout=120)[1].strip().splitlines()
    assert running.returncode == 2, errors
    assert errors[-1].startswith("the object store cannot be reached or refuses (")
    assert not [line for line in errors if line.startswith(("Traceback", "  File"))]
    with s3_server(port):
        told = ingested(str(tmp_path / "urls.csv"), lake, *words)
    assert told["outcomes"] == {"kept": 12}
