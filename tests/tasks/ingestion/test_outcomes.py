"""Whatever a server does, its address has one honest outcome and stops nothing else."""

from pathlib import Path

import pytest

from tasks import rows
from tasks.errors import InputError
from tasks.ingestion.settings import Source
from tasks.ingestion.stage import plan
from tasks.rows import Outcome
from tasks.storage import Lake
from tests.ingested import HOW, JPEG, ingested
from tests.web import Answer, Web, unused_port, web


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
