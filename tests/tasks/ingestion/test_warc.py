"""Archives give pages' candidates and the pictures themselves, whole, or one line of why not."""

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import brotli
import fsspec
import pytest

from tasks.errors import InputError
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources import plans
from tasks.ingestion.sources.archives import archive_candidates
from tasks.ingestion.sources.warc import warc_body
from tasks.ingestion.stage import plan
from tasks.rows import Outcome
from tasks.storage import Lake
from tests.archives import answer, links, page, picture, record, write_archive

HOW = Ingestion()
BOAT = b"\x89PNG boat" * 101
SHIP = b"\x89PNG ship" * 103
INFO = record("", b"software: test\r\n", "warcinfo", Content_Type="application/warc-fields")
RECORDS = [
    INFO,
    page("http://a.org/x/", '<img src="boat.png" alt="a boat"><img src="far.png" alt="far">'),
    picture("http://a.org/x/boat.png", BOAT),
    record("http://a.org/x/", b"GET /x/ HTTP/1.1\r\n\r\n", "request"),
    picture("http://a.org/ship.png", SHIP),
    page("http://a.org/y/", '<img src="/x/boat.png" alt="the same">'),
]


def pairs(place: object, how: Ingestion = HOW) -> list[tuple[str, str]]:
    return [(one.url, one.text) for one in archive_candidates([str(place)], how)]


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_pages_give_candidates_and_pictures_their_place(
    tmp_path: Path, lake: Lake, name: str
) -> None:
    path = write_archive(tmp_path / name, RECORDS)
    (shard,) = plan(lake, Source(batch="web", archives=(path,)), HOW)
    planned = {one.url: one for one in plans.read_plan(lake, shard)}
    assert {url: list(one.texts) for url, one in planned.items()} == {
        "http://a.org/x/boat.png": ["a boat", "the same"],
        "http://a.org/x/far.png": ["far"],
        "http://a.org/ship.png": [],
    }
    assert planned["http://a.org/x/boat.png"].page_url == "http://a.org/x/"
    assert not planned["http://a.org/x/far.png"].body_path
    for url, body in (("http://a.org/x/boat.png", BOAT), ("http://a.org/ship.png", SHIP)):
        fetched = warc_body(planned[url].body_path, planned[url].body_offset)
        assert (fetched.outcome, fetched.body) == (Outcome.KEPT, body)
        assert (fetched.final_url, fetched.http_status) == (url, 200)
        assert fetched.content_type == "image/png"


def test_a_picture_may_lie_in_another_archive_than_its_page(tmp_path: Path, lake: Lake) -> None:
    write_archive(tmp_path / "b.warc.gz", RECORDS[:2])
    write_archive(tmp_path / "a.warc", [RECORDS[2]])
    (shard,) = plan(lake, Source(batch="web", archives=(str(tmp_path),)), HOW)
    boat = next(one for one in plans.read_plan(lake, shard) if one.url.endswith("boat.png"))
    assert boat.body_path == str(tmp_path / "a.warc")
    assert (boat.page_url, list(boat.texts)) == ("http://a.org/x/", ["a boat"])


def test_an_archive_of_any_store_is_read_and_its_pictures_found_again(tmp_path: Path) -> None:
    content = Path(write_archive(tmp_path / "a.warc.gz", RECORDS)).read_bytes()
    fsspec.filesystem("memory").pipe_file("/crawl/a.warc.gz", content)
    found = {one.url: one for one in archive_candidates(["memory://crawl/*.warc.gz"], HOW)}
    ship = found["http://a.org/ship.png"]
    assert ship.body_path == "memory:///crawl/a.warc.gz"
    assert warc_body(ship.body_path, ship.body_offset).body == SHIP


def test_a_relative_path_is_planned_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(tmp_path / "a.warc", RECORDS)
    monkeypatch.chdir(tmp_path)
    paths = {one.body_path for one in archive_candidates(["a.warc"], HOW)}
    assert paths == {"", str(tmp_path / "a.warc")}


def chunked(body: bytes, size: int = 53) -> bytes:
    parts = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x;note\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("kept", "headers"),
    [
        (BOAT, []),
        (chunked(BOAT), ["Transfer-Encoding: chunked"]),
        (gzip.compress(BOAT), ["Content-Encoding: gzip"]),
        (zlib.compress(BOAT), ["Content-Encoding: deflate"]),
        (zlib.compress(BOAT)[2:-4], ["Content-Encoding: deflate"]),
        (brotli.compress(BOAT), ["Content-Encoding: br"]),
        (chunked(gzip.compress(BOAT)), ["Transfer-Encoding: Chunked", "Content-Encoding: GZIP"]),
        # Kept decoded, under the headers of the answer as it was sent:
        (BOAT, ["Content-Encoding: gzip", "Content-Length: 7"]),
        (BOAT, ["Content-Encoding: br"]),
        (BOAT, ["Transfer-Encoding: chunked"]),
    ],
    ids=lambda part: (
        "" if isinstance(part, bytes) else " ".join(part)
    ),  # gzip's bytes hold the time
)
def test_a_body_comes_out_of_what_it_is_packed_in(
    tmp_path: Path, kept: bytes, headers: Sequence[str]
) -> None:
    block = answer(kept, "image/png", more=headers)
    path = write_archive(tmp_path / "a.warc.gz", [INFO, record("http://a.org/b.png", block)])
    (one,) = archive_candidates([path], HOW)
    assert warc_body(path, one.body_offset).body == BOAT


def test_a_picture_without_http_around_it_is_a_picture(tmp_path: Path) -> None:
    records = [record("http://a.org/b.png", BOAT, "resource", Content_Type="image/png")]
    path = write_archive(tmp_path / "a.warc", records)
    (one,) = archive_candidates([path], HOW)
    assert warc_body(path, one.body_offset).body == BOAT


def refused(tmp_path: Path, block: bytes, how: Ingestion = HOW, **headers: str) -> Outcome:
    path = write_archive(tmp_path / "a.warc.gz", [record("http://a.org/b.png", block, **headers)])
    return warc_body(path, 0, how).outcome


def test_a_body_that_may_not_be_taken_says_why(tmp_path: Path) -> None:
    bomb = answer(gzip.compress(b"\0" * 3_000_000), "image/png", more=["Content-Encoding: gzip"])
    assert refused(tmp_path, bomb, Ingestion(max_bytes=1_000_000)) is Outcome.TOO_LARGE
    large = answer(b"\0" * 1009, "image/png")
    assert refused(tmp_path, large, Ingestion(max_bytes=1000)) is Outcome.TOO_LARGE
    assert refused(tmp_path, answer(b"", "image/png")) is Outcome.EMPTY_BODY
    cut = answer(BOAT, "image/png")
    assert refused(tmp_path, cut, WARC_Truncated="length") is Outcome.INCOMPLETE_BODY
    closed = answer(BOAT, "image/png", more=["X-Robots-Tag: all", "X-Robots-Tag: noai"])
    assert refused(tmp_path, closed) is Outcome.OPTED_OUT
    assert refused(tmp_path, closed, Ingestion(respect_opt_outs=False)) is Outcome.KEPT
    reserved = answer(BOAT, "image/png", more=["tdm-reservation: 1"])
    assert refused(tmp_path, reserved) is Outcome.OPTED_OUT
    assert refused(tmp_path, reserved, Ingestion(respect_tdm_reservation=False)) is Outcome.KEPT


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_a_picture_whose_archive_changed_is_a_row_and_one_that_is_gone_a_line(
    tmp_path: Path, name: str
) -> None:
    path = write_archive(tmp_path / name, [picture("http://a.org/b.png", BOAT)])
    whole = Path(path).read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:7], b"", b"rubbish" * 99):
        Path(path).write_bytes(damaged)
        fetched = warc_body(path, 0)
        assert fetched.outcome is Outcome.INCOMPLETE_BODY, damaged
    Path(path).unlink()
    with pytest.raises(InputError, match=r"a\.warc.* is gone; put it back"):
        warc_body(path, 0)


def test_pages_that_forbid_it_give_nothing(tmp_path: Path) -> None:
    html = b'<img src="/a.png">'
    records = [
        record("http://a.org/1", answer(html, "text/html", more=["X-Robots-Tag: noai"])),
        page("http://a.org/2", '<meta name="robots" content="noimageai"><img src="/a.png">'),
        record("http://a.org/3", answer(html, "text/html", "404 Not Found")),
        record("http://a.org/4", answer(html, "application/json")),
        record("http://a.org/5.png", answer(BOAT, "image/png", "404 Not Found")),
        record("http://a.org/6", b"no HTTP at all"),
        page("http://a.org/7", "<p>no picture"),
    ]
    path = write_archive(tmp_path / "a.warc.gz", records)
    assert pairs(path) == []
    assert len(pairs(path, Ingestion(respect_opt_outs=False))) == 2


HTML = {
    "Head": {
        "Title": "Harbour",
        "Base": "http://c.org/up/",
        "Metas": [
            {"property": "og:image", "content": "/og.png"},
            {"name": "robots", "content": ""},
        ],
    },
    "Links": [
        {"path": "IMG@/src", "url": "a.png", "alt": " a  boat "},
        {"path": "IMG@/src", "url": "a.png", "alt": "a boat"},
        {"path": "IMG@/data-src", "url": "b.png", "title": "late"},
        {"path": "SOURCE@/srcset", "url": "s.png 1x, l.png 2x"},
        {"path": "IMG@/src", "url": "data:image/gif;base64,R0"},
        {"path": "A@/href", "url": "page.html", "text": "link"},
        {"path": "SOURCE@/src", "url": "film.mp4"},
        "no link",
    ],
}


@pytest.mark.parametrize("name", ["a.wat", "a.warc.wat.gz"])
def test_a_wat_gives_the_links_of_its_pages(tmp_path: Path, name: str) -> None:
    closed = {"X-Robots-Tag": "noai"}
    metas = {"Head": {"Metas": [{"name": "Robots", "content": "noai"}]}, "Links": HTML["Links"]}
    records = [
        INFO,
        links("http://a.org/x", HTML),
        links("http://a.org/closed", HTML, closed),
        links("http://a.org/meta", metas),
        record("http://a.org/dns", b"[1, 2]", "metadata", Content_Type="application/json"),
        record("http://a.org/no", b"no json", "metadata", Content_Type="application/json"),
        record("http://a.org/deep", b"[" * 9999, "metadata", Content_Type="application/json"),
        links("http://a.org/odd", {"Head": 7, "Links": {"a": 1}}),
    ]
    path = write_archive(tmp_path / name, records)
    found = [(one.url, one.text, one.context) for one in archive_candidates([path], HOW)]
    assert found == [
        ("http://c.org/up/a.png", "a boat", "Harbour"),
        ("http://c.org/up/b.png", "late", "Harbour"),
        ("http://c.org/up/l.png", "", "Harbour"),
        ("http://c.org/og.png", "Harbour", "og:image"),
    ]
    assert {one.page_url for one in archive_candidates([path], HOW)} == {"http://a.org/x"}


def short_of(end: int, suffix: str) -> Callable[[Path], Path]:
    def make(tmp_path: Path) -> Path:
        path = Path(
            write_archive(tmp_path / f"cut{suffix}", [*RECORDS, page("http://z.org/", "z")])
        )
        path.write_bytes(path.read_bytes()[:-end])
        return path

    return make


def with_rubbish(suffix: str) -> Callable[[Path], Path]:
    def make(tmp_path: Path) -> Path:
        path = Path(write_archive(tmp_path / f"rubbish{suffix}", RECORDS[:2]))
        path.write_bytes(path.read_bytes() + b"rubbish\r\n" * 99)
        return path

    return make


def in_one_piece(tmp_path: Path) -> Path:
    path = tmp_path / "one.warc.gz"
    path.write_bytes(gzip.compress(b"".join(RECORDS)))
    return path


def cut_links(tmp_path: Path) -> Path:
    path = tmp_path / "cut.wat"
    path.write_bytes(links("http://a.org/x", HTML)[:-99])
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (short_of(30, ".warc.gz"), r"cut\.warc\.gz cannot be read after 5 rows .* cut off"),
        (short_of(250, ".warc.gz"), r"cut\.warc\.gz cannot be read after 4 rows .* cut off"),
        (short_of(5, ".warc"), r"cut\.warc cannot be read after 5 rows .* cut off"),
        (short_of(50, ".warc"), r"cut\.warc cannot be read after 5 rows .* cut off"),
        (short_of(302, ".warc"), r"cut\.warc cannot be read after 4 rows .* cut off"),
        (in_one_piece, r"compressed in one piece .* `fastwarc recompress .*one\.warc\.gz NEW"),
        (with_rubbish(".warc"), r"rubbish\.warc cannot be read after 2 rows"),
        (with_rubbish(".warc.gz"), r"rubbish\.warc\.gz cannot be read after 2 rows"),
        (cut_links, r"cut\.wat cannot be read after 0 rows \(the record at byte 0 is cut off"),
        (lambda tmp_path: tmp_path / "no.warc", "does not exist or holds nothing"),
        (lambda tmp_path: tmp_path, "holds nothing that can be read"),
    ],
)
def test_an_archive_that_cannot_be_read_is_one_line(
    tmp_path: Path, make: object, said: str
) -> None:
    assert callable(make)
    with pytest.raises(InputError, match=said) as caught:
        pairs(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_pages_of_an_archive_in_one_piece_are_read(tmp_path: Path) -> None:
    path = tmp_path / "one.warc.gz"
    path.write_bytes(gzip.compress(b"".join(RECORDS[:2])))
    assert [text for _, text in pairs(path)] == ["a boat", "far"]


def test_what_a_wat_says_of_itself_is_only_text(tmp_path: Path) -> None:
    html = {
        "Links": [{"path": ["IMG@/src"], "url": {"a": 1}, "alt": 7}, {"path": "IMG@/src", "url": 7}]
    }
    path = write_archive(
        tmp_path / "a.wat", [links("http://a.org/x", json.loads(json.dumps(html)))]
    )
    assert pairs(path) == [("http://a.org/7", "")]
