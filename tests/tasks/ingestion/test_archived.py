"""An archive becomes shards without one request, and bytes are held to the hash a table gives."""

import hashlib
from pathlib import Path

import pytest

from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.stage import plan
from tasks.ingestion.verifying import mismatch
from tasks.ingestion.workers import ingest
from tasks.storage import Lake
from tests.archives import page, picture, write_archive
from tests.ingested import JPEG, web_rows
from tests.web import Answer, web

NOBODY = "http://127.0.0.1:9"  # of this machine, which may not be asked: every request is a row
HOW = Ingestion(timeout_s=2, retries=0)


def test_pictures_of_an_archive_are_stored_without_a_request(lake: Lake, tmp_path: Path) -> None:
    html = f'<img src="/boat.jpg" alt="a red boat"><img src="{NOBODY}/far.jpg" alt="far">'
    records = [
        page("http://a.invalid/", html),
        picture("http://a.invalid/boat.jpg", JPEG, "image/jpeg"),
        picture("http://a.invalid/cut.jpg", JPEG[: len(JPEG) // 2], "image/jpeg"),
    ]
    path = write_archive(tmp_path / "a.warc.gz", records)
    ingest(lake, plan(lake, Source(batch="web", archives=(path,)), HOW), HOW)
    found = {row["url"]: row for row in web_rows(lake)}
    assert {url: row["outcome"] for url, row in found.items()} == {
        "http://a.invalid/boat.jpg": "kept",
        "http://a.invalid/cut.jpg": "truncated",
        f"{NOBODY}/far.jpg": "ssrf_blocked",
    }
    boat = found["http://a.invalid/boat.jpg"]
    assert (boat["caption"], boat["page_url"]) == ("a red boat", "http://a.invalid/")
    assert (boat["http_status"], boat["content_type"]) == (200, "image/jpeg")
    assert boat["sha256"] == hashlib.sha256(JPEG).hexdigest()


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha512"])
def test_bytes_are_held_to_a_hash_of_any_kind(lake: Lake, tmp_path: Path, kind: str) -> None:
    right, wrong = (hashlib.new(kind, body).hexdigest().upper() for body in (JPEG, b"other"))
    with web({f"/{n}.jpg": Answer(body=JPEG) for n in range(3)}) as site:
        lines = [f"{site.url}/0.jpg,{right}", f"{site.url}/1.jpg,{wrong}", f"{site.url}/2.jpg,"]
        table = tmp_path / "t.csv"
        table.write_text("\n".join(["url,digest", *lines]))
        how = Ingestion(allow_private_hosts=("127.0.0.1",))
        source = Source(batch="web", tables=(str(table),), hash_col="digest")
        ingest(lake, plan(lake, source, how), how)
        rows = {row["url"].rsplit("/", 1)[1]: row for row in web_rows(lake)}
    outcomes = {name: row["outcome"] for name, row in rows.items()}
    assert outcomes == {"0.jpg": "kept", "1.jpg": "hash_mismatch", "2.jpg": "kept"}
    assert rows["1.jpg"]["error_message"].startswith(f"expected {kind} {wrong[:12].lower()}, got ")


def test_a_body_that_no_hash_is_given_for_is_as_expected() -> None:
    assert mismatch("", b"any", "") == ""
