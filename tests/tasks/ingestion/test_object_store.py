"""A lake on an object store: tables come from it, shards go to it, a second run finds them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gated_site import GatedSite, gated_site
from tests.object_store import empty_bucket
from tests.stand import ROOT


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 on loopback with an empty bucket."""
    with empty_bucket(monkeypatch) as made:
        yield made


@pytest.fixture
def site() -> Iterator[GatedSite]:
    with gated_site() as served:
        served.gate.set()
        yield served


def ingested(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tasks.ingestion", *words, "--allow-private-hosts", "127.0.0.1"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_table_on_a_store_becomes_shards_on_a_store(
    bucket: Any, site: GatedSite, tmp_path: Path, processes: str
) -> None:
    table = site.table(tmp_path / "urls.csv", 12)
    bucket.upload_file(str(table), "tables/urls.csv")
    root = f"s3://{bucket.name}"
    words = (f"{root}/tables/urls.csv", f"{root}/lake", "--shard-size", "5")
    first = ingested(*words, "--processes", processes)
    assert (first["outcomes"], first["done_now"]) == ({"kept": 12}, 12)
    asked = sum(site.asked.values())
    again = ingested(*words, "--processes", processes)
    assert (again["outcomes"], again["done_now"]) == ({"kept": 12}, 0)
    assert sum(site.asked.values()) == asked
    names = {entry.key.removeprefix("lake/") for entry in bucket.objects.filter(Prefix="lake/")}
    assert {f"web/web/0000{n}.{end}" for n in range(3) for end in ("tar", "parquet")} <= names
    assert not [name for name in names if name.endswith(".part")]
    bucket.Object("lake/commits/ingestion/ingestion/web/00001.json").delete()
    assert ingested(*words, "--processes", processes)["done_now"] == 5


def test_a_table_that_is_not_in_the_store_is_one_line(bucket: Any) -> None:
    table, lake = f"s3://{bucket.name}/no.csv", f"s3://{bucket.name}/lake"
    done = subprocess.run(
        [sys.executable, "-m", "tasks.ingestion", table, lake],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert f"{table} does not exist" in line
    assert not list(bucket.objects.all())
