"""Every candidate ends as exactly one row, killed or not, and copies are marked."""

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.ingestion.duplicates import mark_duplicates
from tasks.ingestion.settings import Source
from tasks.ingestion.stage import plan
from tasks.ingestion.workers import ingest
from tasks.rows import Outcome
from tasks.shards import stream
from tasks.storage import Lake, Shard, open_lake
from tests.drawn import decoded, encoded
from tests.gated_site import gated_site
from tests.ingested import HOW, JPEG, ingested, table, web_rows
from tests.web import Answer, web


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"), create=True)


# webdataset leaves the files it reads open for the collector to close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_rows_are_conserved_and_the_tar_reads_as_any_webdataset_does(
    lake: Lake, tmp_path: Path
) -> None:
    paths = {f"/{n}.jpg": Answer(body=encoded(seed=n, quality=95)) for n in range(7)}
    with web(paths | {"/9.jpg": Answer(status=410)}) as site:
        urls = [f"{site.url}{path}" for path in (*paths, "/9.jpg")]
        found = ingested(lake, tmp_path, urls)
        assert all(agent.startswith("Caplift/") for agent in site.agents)
    shards = lake.planned("web")
    assert [shard.name for shard in shards] == ["00000", "00001"]
    for shard in shards:
        record = lake.commit_of("ingestion", "ingestion", shard)
        for file in record.files:
            content = Path(lake.path(file["path"])).read_bytes()
            assert (len(content), sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
        counts = record.rows
        assert counts["planned"] == counts["kept"] + counts["failed"]
    samples = [s for shard in shards for s in stream(lake.path(lake.web_tar(shard)))]
    assert len(samples) == 7
    by_key = {row["key"]: row for row in found.values()}
    for sample in samples:
        row = by_key[sample["__key__"]]
        assert sample["txt"].decode() == row["caption"]
        with open(lake.path(lake.web_tar(Shard("web", row["shard"]))), "rb") as tar:  # noqa: PTH123
            tar.seek(row["tar_offset"])
            assert tar.read(row["tar_size"]) == sample["jpg"]
        assert decoded(sample["jpg"]).shape == (row["height"], row["width"], 3)
    captions = rows.read_all(lake, "captions/ingestion/web/*.parquet", rows.CAPTIONS).to_pylist()
    assert Counter(row["key"] for row in captions) == Counter(s["__key__"] for s in samples)


def test_a_committed_shard_is_not_fetched_again(lake: Lake, tmp_path: Path) -> None:
    with web({"/a.jpg": Answer(body=JPEG)}) as site:
        ingested(lake, tmp_path, [f"{site.url}/a.jpg"])
        ingested(lake, tmp_path, [f"{site.url}/a.jpg"])
        assert site.asked["/a.jpg"] == 1


def test_one_address_with_several_texts_is_one_picture_with_several_captions(
    lake: Lake, tmp_path: Path
) -> None:
    with web({"/a.jpg": Answer(body=JPEG)}) as site:
        address = site.url.replace("http", "HTTP")
        ingested(lake, tmp_path, [f"{site.url}/a.jpg", f"{address}/./a.jpg#top"])
        assert site.asked["/a.jpg"] == 1
    (row,) = web_rows(lake)
    assert [text["text"] for text in row["texts"]] == ["picture 0 of a row", "picture 1 of a row"]
    captions = rows.read_all(lake, "captions/ingestion/web/*.parquet", rows.CAPTIONS)
    assert len(captions) == 2


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_killed_in_mid_shard_ends_with_the_rows_of_one_that_was_not(
    tmp_path: Path, processes: int
) -> None:
    with gated_site() as site:
        site.held = {"/7.jpg"}
        given = str(site.table(tmp_path / "urls.csv", 12))
        root = tmp_path / "lake"
        command = [sys.executable, "-m", "tasks.ingestion", given, str(root), "--shard-size", "4"]
        command += ["--processes", str(processes), "--allow-private-hosts", "127.0.0.1"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not site.asked["/7.jpg"] and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        site.gate.set()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["outcomes"] == {"kept": 12}
    lake = Lake(str(root))
    found = web_rows(lake)
    assert len(found) == len({row["key"] for row in found}) == 12
    assert {row["outcome"] for row in found} == {Outcome.KEPT}
    for shard in lake.planned("web"):
        with tarfile.open(lake.path(lake.web_tar(shard))) as tar:
            assert len(tar.getmembers()) == 3 * 4
    assert not list(root.rglob("*.part"))


TIMES = ("fetched_at", "seconds", "attempts")


def content(lake: Lake) -> tuple[list[dict[str, object]], dict[str, bytes]]:
    """All rows without what the clock decides, and the tars."""
    found = [{k: v for k, v in row.items() if k not in TIMES} for row in web_rows(lake)]
    tars = {name: Path(lake.path(name)).read_bytes() for name in lake.glob("web/*/*.tar")}
    return found, tars


def test_killed_again_and_again_it_comes_to_the_rows_and_bytes_of_a_run_that_was_not(
    tmp_path: Path,
) -> None:
    with gated_site() as site:
        site.gate.set()
        given = site.table(tmp_path / "urls.csv", 60)
        given.write_text(given.read_text() + f"{site.url}/gone.jpg,none\nno address,none\n")
        lakes = [tmp_path / "killed", tmp_path / "whole"]
        options = ["--shard-size", "7", "--processes", "2", "--allow-private-hosts", "127.0.0.1"]
        killed, whole = (
            [sys.executable, "-m", "tasks.ingestion", str(given), str(lake), *options]
            for lake in lakes
        )
        subprocess.run(whole, capture_output=True, check=True)
        for so_many in (1, 12, 30, 45):
            asked = sum(site.asked.values())
            process = subprocess.Popen(
                killed, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while sum(site.asked.values()) < asked + so_many and process.poll() is None:
                time.sleep(0.002)
            with contextlib.suppress(ProcessLookupError):  # it was done before
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for tar in lakes[0].glob("web/*/*.tar"):
                with tarfile.open(tar) as opened:
                    assert opened.getmembers()  # whole at every moment
        subprocess.run(killed, capture_output=True, check=True)
    assert content(Lake(str(lakes[0]))) == content(Lake(str(lakes[1])))
    assert len(content(Lake(str(lakes[0])))[0]) == 62
    assert not list(tmp_path.rglob("*.part"))


def near(jpeg: bytes) -> bytes:
    """The same picture, compressed harder: other bytes, the same look."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def twins(lake: Lake) -> dict[frozenset[str], str]:
    found = rows.read_all(lake, "duplicates/*/*/*.parquet", rows.DUPLICATES).to_pylist()
    url = {row["key"]: row["url"].rsplit("/", 1)[1] for row in web_rows(lake)}
    return {frozenset((url[row["key"]], url[row["keeper"]])): row["method"] for row in found}


def test_copies_are_found_across_shards_and_marked_not_removed(lake: Lake, tmp_path: Path) -> None:
    first = encoded("PNG", seed=1)
    answers = {f"/{n}.png": Answer(body=encoded("PNG", seed=n)) for n in range(2, 9)}
    answers |= {"/same.png": Answer(body=first), "/one.png": Answer(body=first)}
    answers |= {"/near.jpg": Answer(body=near(encoded("PNG", seed=5)))}
    with web(answers) as site:
        ingested(lake, tmp_path, [f"{site.url}{path}" for path in answers])
    commit = mark_duplicates(lake, "web", HOW)
    assert commit.rows == {"pictures": 10, "duplicates": 2}
    assert twins(lake) == {
        frozenset(("same.png", "one.png")): "sha256",
        frozenset(("5.png", "near.jpg")): "phash",
    }
    assert sum(row["outcome"] == Outcome.KEPT for row in web_rows(lake)) == 10


def test_copies_are_looked_for_only_when_the_whole_batch_is_there(
    lake: Lake, tmp_path: Path
) -> None:
    with web({"/a.jpg": Answer(body=JPEG)}) as site:
        source = Source(batch="web", tables=(table(tmp_path, [f"{site.url}/a.jpg"]),))
        plan(lake, source, HOW)
        with pytest.raises(LakeError, match="1 of 1 shards of batch web are not ingested yet"):
            mark_duplicates(lake, "web", HOW)


@pytest.mark.parametrize("name", ["md5", "sha256", "sha512"])
@pytest.mark.parametrize(
    ("verify", "outcomes", "matches"),
    [
        ("drop", [Outcome.HASH_MISMATCH, Outcome.KEPT], [False, True]),
        ("flag", [Outcome.KEPT, Outcome.KEPT], [False, True]),
        ("off", [Outcome.KEPT, Outcome.KEPT], [None, None]),
    ],
)
def test_a_hash_that_differs_from_the_tables_is_dropped_flagged_or_not_looked_at(
    lake: Lake, tmp_path: Path, name: str, verify: str, outcomes: list[str], matches: list[bool]
) -> None:
    path = tmp_path / "urls.csv"
    right = hashlib.new(name, JPEG).hexdigest().upper()
    wrong = "0" * len(right)
    how = replace(HOW, verify_hash=verify)
    with web({"/a.jpg": Answer(body=JPEG), "/b.jpg": Answer(body=JPEG)}) as site:
        lines = [
            f"url,caption,{name}",
            f"{site.url}/a.jpg,a,{wrong}",
            f"{site.url}/b.jpg,b,{right}",
        ]
        path.write_text("\n".join(lines) + "\n")
        ingest(lake, plan(lake, Source(batch="web", tables=(str(path),)), how), how)
    found = sorted(web_rows(lake), key=lambda row: str(row["url"]))
    assert [row["outcome"] for row in found] == outcomes
    assert [row["hash_matches"] for row in found] == matches


def test_a_batch_of_two_sources_holds_each_address_once(lake: Lake, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="http://a.invalid/1.jpg" alt="of the page">')
    listed = table(tmp_path, ["http://a.invalid/1.jpg", "http://a.invalid/2.jpg"])
    plan(lake, Source(batch="web", pages=(str(page),), tables=(listed,)), HOW)
    planned = rows.read_all(lake, "plans/web/*.parquet", rows.PLANS).to_pylist()
    assert {row["url"]: [text["text"] for text in row["texts"]] for row in planned} == {
        "http://a.invalid/1.jpg": ["of the page", "picture 0 of a row"],
        "http://a.invalid/2.jpg": ["picture 1 of a row"],
    }


def test_a_planned_batch_keeps_its_plan_and_refuses_another_source(
    lake: Lake, tmp_path: Path
) -> None:
    first = Source(batch="web", tables=(table(tmp_path, ["http://a.invalid/1.jpg"]),))
    other = Source(batch="web", tables=(table(tmp_path, ["http://a.invalid/2.jpg"], "b.csv"),))
    shards = plan(lake, first, HOW)
    Path(first.tables[0]).unlink()  # a plan needs no source any more
    assert plan(lake, first, HOW) == shards
    with pytest.raises(
        InputError, match=r"planned from another source \(tables .*b\.csv"
    ) as caught:
        plan(lake, other, HOW)
    assert "\n" not in str(caught.value)
    (row,) = rows.read_all(lake, "plans/web/*.parquet", rows.PLANS).to_pylist()
    assert row["url"].endswith("/1.jpg")


@pytest.mark.parametrize("encode_format", ["jpg", "png", "webp"])
def test_a_member_of_the_tar_is_named_by_the_format_it_is_stored_in(
    lake: Lake, tmp_path: Path, encode_format: str
) -> None:
    how = replace(HOW, encode_format=encode_format, encode_quality=9)
    with web({"/a.jpg": Answer(body=JPEG)}) as site:
        given = table(tmp_path, [f"{site.url}/a.jpg"])
        ingest(lake, plan(lake, Source(batch="web", tables=(given,)), how), how)
    with tarfile.open(lake.path(lake.web_tar(Shard("web", "00000")))) as tar:
        picture = tar.getmembers()[0]
        assert picture.name.rpartition(".")[2] == encode_format
        content = tar.extractfile(picture)
        assert content is not None
        with Image.open(io.BytesIO(content.read())) as found:
            assert found.format == {"jpg": "JPEG"}.get(encode_format, encode_format.upper())
