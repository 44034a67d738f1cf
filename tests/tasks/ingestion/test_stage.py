"""Every candidate ends as exactly one row with an honest outcome, whatever its server does."""

import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.stage import ingest_shard, mark_duplicates, plan
from tasks.rows import Outcome
from tasks.shards import stream
from tasks.storage import Lake, Shard, open_lake
from tests.drawn import decoded, encoded
from tests.gated_site import gated_site
from tests.web import Answer, Web, web

JPEG = encoded(quality=95)
LOOPBACK = ("127.0.0.1",)
HOW = Ingestion(allow_private_hosts=LOOPBACK, timeout_s=2, shard_size=5, max_bytes=100_000)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"), create=True)


def table(folder: Path, urls: list[str], name: str = "urls.csv") -> str:
    lines = [f'"{url}","picture {n} of a row"' for n, url in enumerate(urls)]
    path = folder / name
    path.write_text("\n".join(["url,caption", *lines]) + "\n")
    return str(path)


def ingested(lake: Lake, folder: Path, urls: list[str], how: Ingestion = HOW) -> dict[str, Any]:
    """Ingest a table; return the rows by URL as it was given."""
    shards = plan(lake, Source(batch="web", tables=(table(folder, urls),)), how)
    for shard in shards:
        ingest_shard(lake, shard, how)
    return {row["url"]: row for row in web_rows(lake)}


def web_rows(lake: Lake) -> list[dict[str, Any]]:
    return rows.read_all(lake, "web/*/*.parquet", rows.WEB).to_pylist()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hostile() -> dict[str, tuple[Answer, Outcome]]:
    """Path -> what it answers and what must be said of it."""
    return {
        "/good.jpg": (Answer(body=JPEG), Outcome.KEPT),
        "/later.jpg": (Answer(body=JPEG, first=(503, 500)), Outcome.KEPT),
        "/gone.jpg": (Answer(status=404), Outcome.HTTP_ERROR),
        "/moved.jpg": (Answer(status=302, headers={"Location": "/good.jpg"}), Outcome.KEPT),
        "/loop.jpg": (
            Answer(status=302, headers={"Location": "/loop.jpg"}),
            Outcome.TOO_MANY_REDIRECTS,
        ),
        "/inside.jpg": (
            Answer(status=302, headers={"Location": "http://169.254.169.254/latest"}),
            Outcome.SSRF_BLOCKED,
        ),
        "/scheme.jpg": (
            Answer(status=302, headers={"Location": "file:///etc/passwd"}),
            Outcome.BAD_SCHEME,
        ),
        "/nowhere.jpg": (Answer(status=301), Outcome.PROTOCOL),
        "/slow.jpg": (Answer(body=JPEG, drip_s=0.05), Outcome.TIMEOUT),
        "/short.jpg": (Answer(body=JPEG[:99], promised=len(JPEG)), Outcome.INCOMPLETE_BODY),
        "/empty.jpg": (Answer(), Outcome.EMPTY_BODY),
        "/nothing.jpg": (Answer(status=204), Outcome.EMPTY_BODY),
        "/huge.jpg": (Answer(body=b"x" * 100_001), Outcome.TOO_LARGE),
        "/liar.jpg": (Answer(promised=10**12), Outcome.TOO_LARGE),
        "/page.jpg": (Answer(body=b"<html>sorry</html>"), Outcome.NOT_AN_IMAGE),
        "/half.jpg": (Answer(body=JPEG[: len(JPEG) // 2]), Outcome.TRUNCATED),
        "/noai.jpg": (Answer(body=JPEG, headers={"X-Robots-Tag": "noai"}), Outcome.OPTED_OUT),
        "/tdm.jpg": (Answer(body=JPEG, headers={"TDM-Reservation": "1"}), Outcome.OPTED_OUT),
        "/private/x.jpg": (Answer(body=JPEG), Outcome.ROBOTS_TXT),
        "/robots.txt": (Answer(body=b"User-agent: *\nDisallow: /private/"), Outcome.NOT_AN_IMAGE),
    }


def test_each_behaviour_of_a_server_has_its_outcome_and_none_stops_the_run(
    lake: Lake, tmp_path: Path
) -> None:
    with web({}) as site:
        cases = hostile()
        site.answers |= {path: answer for path, (answer, _) in cases.items()}
        expected = {f"{site.url}{path}": outcome for path, (_, outcome) in cases.items()}
        expected |= {
            f"http://127.0.0.1:{unused_port()}/x.jpg": Outcome.CONNECT,
            "http://10.0.0.1/x.jpg": Outcome.SSRF_BLOCKED,
            "http://[::1]:1/x.jpg": Outcome.SSRF_BLOCKED,
            "http://localhost:1/x.jpg": Outcome.SSRF_BLOCKED,
            "ftp://127.0.0.1/x.jpg": Outcome.BAD_SCHEME,
            "not an address": Outcome.BAD_URL,
        }
        found = ingested(lake, tmp_path, list(expected))
        assert {url: Outcome(row["outcome"]) for url, row in found.items()} == expected
        assert site.asked["/later.jpg"] == 3
        assert site.asked["/private/x.jpg"] == 0
        assert site.asked["/robots.txt"] <= 7  # once a shard, and once as a candidate
    assert found[f"{site.url}/later.jpg"]["attempts"] == 3
    assert found[f"{site.url}/gone.jpg"]["http_status"] == 404
    assert found[f"{site.url}/moved.jpg"]["final_url"] == f"{site.url}/good.jpg"
    failed = [row for row in found.values() if row["outcome"] != Outcome.KEPT]
    assert all(row["error_message"] for row in failed)
    assert all(row["tar_offset"] is None for row in failed)


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
        counts = lake.commit_of("ingestion", "ingestion", shard).rows
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


def test_a_run_killed_in_mid_shard_ends_with_the_rows_of_one_that_was_not(tmp_path: Path) -> None:
    with gated_site() as site:
        site.held = {"/7.jpg"}
        given = str(site.table(tmp_path / "urls.csv", 12))
        root = tmp_path / "lake"
        command = [sys.executable, "-m", "tasks.ingestion", str(root), "--batch", "web"]
        command += ["--table", given, "--shard-size", "4", "--allow-private-host", "127.0.0.1"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not site.asked["/7.jpg"] and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        site.gate.set()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "12  kept" in done.stdout
    lake = Lake(str(root))
    found = web_rows(lake)
    assert len(found) == len({row["key"] for row in found}) == 12
    assert {row["outcome"] for row in found} == {Outcome.KEPT}
    for shard in lake.planned("web"):
        with tarfile.open(lake.path(lake.web_tar(shard))) as tar:
            assert len(tar.getmembers()) == 3 * 4
    assert not list(root.rglob("*.part"))


def near(jpeg: bytes) -> bytes:
    """The same picture, compressed harder: other bytes, the same look."""
    from PIL import Image

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


def test_a_hash_that_differs_from_the_tables_is_no_picture_of_it(
    lake: Lake, tmp_path: Path
) -> None:
    path = tmp_path / "urls.csv"
    with web({"/a.jpg": Answer(body=JPEG)}) as site:
        path.write_text(f"url,caption,sha256\n{site.url}/a.jpg,a,{'0' * 64}\n")
        (shard,) = plan(lake, Source(batch="web", tables=(str(path),)), HOW)
        ingest_shard(lake, shard, HOW)
    (row,) = web_rows(lake)
    assert row["outcome"] == Outcome.HASH_MISMATCH


def crawled(site: Web, lake: Lake) -> set[str]:
    source = Source(batch="web", pages=(f"{site.url}/index.html",))
    plan(lake, source, HOW)
    planned = rows.read_all(lake, "plans/web/*.parquet", rows.PLANS).to_pylist()
    return {row["url"].removeprefix(site.url) for row in planned}


def html(body: str) -> Answer:
    return Answer(body=body.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


def test_a_crawl_stays_on_its_site_and_obeys_what_pages_and_robots_ask(lake: Lake) -> None:
    pages = {
        "/index.html": html(
            '<img src="a.jpg" alt="a"><a href="more.html">m</a><a href="/closed/x.html">c</a>'
            '<a href="http://elsewhere.invalid/">e</a><a rel="nofollow" href="no.html">n</a>'
        ),
        "/more.html": html('<img src="b.jpg" alt="b"><a href="index.html">back</a>'),
        "/no.html": html('<img src="no.jpg" alt="no">'),
        "/closed/x.html": html('<img src="c.jpg" alt="c">'),
        "/robots.txt": Answer(body=b"User-agent: *\nDisallow: /closed/"),
    }
    with web(pages) as site:
        assert crawled(site, lake) == {"/a.jpg", "/b.jpg"}
        assert site.asked["/index.html"] == 1
        assert site.asked["/closed/x.html"] == site.asked["/no.html"] == 0


def test_a_page_without_pictures_is_one_line_and_writes_nothing(lake: Lake) -> None:
    with web({"/index.html": html("<p>only words")}) as site:
        with pytest.raises(InputError, match="show no picture") as caught:
            crawled(site, lake)
        assert "\n" not in str(caught.value)
    assert lake.glob("plans/*/*") == []


def test_a_start_page_that_is_gone_is_one_line(lake: Lake) -> None:
    with web({}) as site, pytest.raises(InputError, match=r"start page .* http_error \(HTTP 404\)"):
        crawled(site, lake)


def test_a_planned_batch_keeps_its_plan(lake: Lake, tmp_path: Path) -> None:
    first = Source(batch="web", tables=(table(tmp_path, ["http://a.invalid/1.jpg"]),))
    other = Source(batch="web", tables=(table(tmp_path, ["http://a.invalid/2.jpg"], "b.csv"),))
    assert plan(lake, first, HOW) == plan(lake, other, HOW)
    (row,) = rows.read_all(lake, "plans/web/*.parquet", rows.PLANS).to_pylist()
    assert row["url"].endswith("/1.jpg")


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    with gated_site() as site:
        site.gate.set()
        given = str(site.table(tmp_path / "urls.csv", 40))
        root = tmp_path / "lake"
        limited = (
            "import resource, signal, sys, runpy; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); sys.argv = sys.argv[1:]; "
            "runpy.run_module('tasks.ingestion', run_name='__main__', alter_sys=True)"
        )
        command = [sys.executable, "-c", limited, "x", str(root), "--batch", "web"]
        command += ["--table", given, "--allow-private-host", "127.0.0.1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert not list(root.rglob("*.part"))
    assert not list(root.glob("commits/*/*/*/*.json"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--table", "missing.csv"], "missing.csv does not exist"),
        (["--table", "{empty}"], "is empty"),
        (["--pages", "/no/such/folder"], "neither an HTML file nor a folder"),
        ([], "neither pages nor tables"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2_and_no_batch(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("url,caption\n")
    given = [argument.replace("{empty}", str(empty)) for argument in arguments]
    command = [sys.executable, "-m", "tasks.ingestion", str(tmp_path / "lake"), "--batch", "web"]
    done = subprocess.run([*command, *given], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert said in line
    assert not (tmp_path / "lake" / "plans").exists()


def test_a_batch_of_which_nothing_is_kept_ends_with_another_exit_code_and_says_why(
    tmp_path: Path,
) -> None:
    urls = table(tmp_path, [f"http://127.0.0.1:{unused_port()}/x.jpg"])
    command = [sys.executable, "-m", "tasks.ingestion", str(tmp_path / "lake"), "--batch", "web"]
    command += ["--table", urls, "--allow-private-host", "127.0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1  connect" in done.stdout
    assert "kept no picture at all" in done.stderr
