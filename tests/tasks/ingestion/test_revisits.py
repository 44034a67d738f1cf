"""A revisit of a WARC gives what the answer it stands for would give at its address.

The answer is found by the record, the payload's digest, or the address and date that the revisit
names, in any archive of the batch, earlier or later. What is found nowhere is asked for again when
it is known to be a picture, and its row says what came of that.
"""

from pathlib import Path

import pytest

from tasks import rows
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources import spilling
from tasks.ingestion.sources.archives import archive_candidates
from tasks.ingestion.stage import plan
from tasks.ingestion.workers import ingest
from tasks.storage import Lake
from tests.archives import answer, record, write_archive
from tests.drawn import encoded
from tests.ingested import HOW, web_rows
from tests.web import unused_port

BOAT = encoded("PNG", seed=3)
FIRST = "<urn:uuid:10000000-0000-0000-0000-000000000003>"
DIGEST = "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"
PICTURE = answer(BOAT, "image/png")
HEAD = answer(b"", "image/png")
HTML = answer(b'<title>Sea</title><img src="x.png" alt="a boat">', "text/html")
WHEN = "2026-01-02T03:04:05Z"


def kept(url: str, block: bytes = PICTURE, **headers: str) -> bytes:
    return record(url, block, **{"WARC_Record_ID": FIRST, "WARC_Payload_Digest": DIGEST} | headers)


def revisit(url: str, block: bytes = b"", **headers: str) -> bytes:
    profile = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
    return record(url, block, "revisit", WARC_Profile=profile, **headers)


def places(*paths: str, how: Ingestion = HOW) -> dict[str, str]:
    """Return the archive in which each picture's body lies, or nothing, by its address."""
    found: dict[str, str] = {}
    for one in archive_candidates(paths, how):
        found[one.url] = found.get(one.url) or Path(one.body_path).name
    return found


@pytest.mark.parametrize(
    "names",
    [
        {"WARC_Refers_To": FIRST},
        {"WARC_Payload_Digest": DIGEST.replace("sha1", "SHA1")},
        {"WARC_Refers_To_Target_URI": "<http://a.org/1.png>", "WARC_Refers_To_Date": WHEN},
        {"WARC_Refers_To": "<urn:uuid:lost>", "WARC_Payload_Digest": DIGEST},
    ],
)
@pytest.mark.parametrize("suffix", ["warc", "warc.gz"])
def test_a_revisit_is_the_answer_that_it_names(
    tmp_path: Path, names: dict[str, str], suffix: str
) -> None:
    path = write_archive(
        tmp_path / f"a.{suffix}",
        [kept("http://a.org/1.png", WARC_Date=WHEN), revisit("http://b.org/2", b"", **names)],
    )
    assert places(path) == {"http://a.org/1.png": f"a.{suffix}", "http://b.org/2": f"a.{suffix}"}


def test_the_answer_may_lie_in_another_archive_of_the_batch_and_come_later(tmp_path: Path) -> None:
    again = revisit("http://b.org/2", HEAD, WARC_Payload_Digest=DIGEST)
    paths = [
        write_archive(tmp_path / "a.warc", [again]),
        write_archive(tmp_path / "b.warc.gz", [kept("http://a.org/1.png")]),
    ]
    assert places(*paths) == {"http://a.org/1.png": "b.warc.gz", "http://b.org/2": "b.warc.gz"}


def test_a_revisited_page_shows_its_pictures_under_its_own_address(tmp_path: Path) -> None:
    page = kept("http://a.org/", HTML)
    path = write_archive(
        tmp_path / "a.warc.gz", [page, revisit("http://b.org/x/", WARC_Refers_To=FIRST)]
    )
    found = {(one.url, one.text, one.page_url) for one in archive_candidates([path], HOW)}
    assert found == {
        ("http://a.org/x.png", "a boat", "http://a.org/"),
        ("http://b.org/x/x.png", "a boat", "http://b.org/x/"),
    }


def test_what_is_in_no_archive_is_asked_for_when_it_is_known_to_be_a_picture(
    tmp_path: Path,
) -> None:
    listed = [
        revisit("http://a.org/said", HEAD, WARC_Refers_To=FIRST),
        revisit("http://a.org/named.PNG", WARC_Refers_To=FIRST),
        revisit("http://a.org/page", answer(b"", "text/html"), WARC_Refers_To=FIRST),
        revisit("http://a.org/unknown", WARC_Refers_To=FIRST),
        revisit("http://a.org/gone.png", answer(b"", "image/png", "404 Not Found")),
        revisit("http://a.org/closed.png", answer(b"", "image/png", more=["X-Robots-Tag: noai"])),
    ]
    path = write_archive(tmp_path / "a.warc", listed)
    assert places(path) == {"http://a.org/said": "", "http://a.org/named.PNG": ""}


def test_a_revisit_that_opts_out_or_stands_for_a_failure_gives_nothing(tmp_path: Path) -> None:
    closed = answer(b"", "image/png", more=["X-Robots-Tag: noai"])
    listed = [
        kept("http://a.org/1.png", answer(BOAT, "image/png", "404 Not Found")),
        revisit("http://a.org/2", WARC_Refers_To=FIRST),
        kept("http://a.org/3.png", WARC_Record_ID="<urn:uuid:3>"),
        revisit("http://a.org/4", closed, WARC_Refers_To="<urn:uuid:3>"),
    ]
    path = write_archive(tmp_path / "a.warc", listed)
    assert places(path) == {"http://a.org/3.png": "a.warc"}


def test_more_revisits_than_memory_holds_are_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spilling, "MAX_ROWS", 5)
    answers = [
        kept(f"http://a.org/{n}.png", WARC_Record_ID=f"<urn:{n}>", WARC_Payload_Digest=f"md5:{n}")
        for n in range(13)
    ]
    again = [revisit(f"http://b.org/{n}", WARC_Refers_To=f"<urn:{n}>") for n in range(13)]
    path = write_archive(tmp_path / "a.warc", [*again, *answers])
    assert set(places(path).values()) == {"a.warc"}
    assert len(places(path)) == 26


def test_a_revisited_picture_is_stored_and_a_lost_one_has_its_row(
    lake: Lake, tmp_path: Path
) -> None:
    nowhere = f"http://127.0.0.1:{unused_port()}/lost.png"
    listed = [
        kept("http://a.org/1.png"),
        revisit("http://b.org/2", WARC_Refers_To=FIRST),
        revisit(nowhere, HEAD, WARC_Refers_To="<urn:uuid:lost>"),
    ]
    path = write_archive(tmp_path / "a.warc.gz", listed)
    ingest(lake, plan(lake, Source(batch="web", archives=(path,)), HOW), HOW)
    found = {row["url"]: (row["outcome"], row["final_url"]) for row in web_rows(lake)}
    assert found == {
        "http://a.org/1.png": ("kept", "http://a.org/1.png"),
        "http://b.org/2": ("kept", "http://a.org/1.png"),
        nowhere: ("connect", None),
    }
    assert rows.read_rows(lake, "web/web/00000.parquet")["sha256"].null_count == 1
