"""A crawl reads a site's own pages, each once and no more than it may; files are pages too."""

import gzip
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from tasks.errors import InputError
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources.pages import page_candidates
from tests.web import Answer, web

HOW = Ingestion(allow_private_hosts=("127.0.0.1",), timeout_s=2.0, retries=0)


def html(body: str, content_type: str = "text/html", **headers: str) -> Answer:
    return Answer(body=body.encode(), headers={"Content-Type": content_type, **headers})


def names(pages: list[str], how: Ingestion = HOW, max_pages: int = 5000) -> list[str]:
    """The last parts of the pictures' addresses, in the order they were found."""
    source = Source(batch="web", pages=tuple(pages), max_pages=max_pages)
    return [one.url.rsplit("/", 1)[1] for one in page_candidates(source, how)]


def chain(length: int) -> dict[str, Answer]:
    """Page n shows n.jpg and links to page n + 1."""
    return {
        f"/{n}.html": html(f'<img src="{n}.jpg"><a href="{n + 1}.html">on</a>')
        for n in range(length)
    }


def test_no_more_pages_are_read_than_allowed() -> None:
    with web(chain(11)) as site:
        assert names([f"{site.url}/0.html"], max_pages=7) == [f"{n}.jpg" for n in range(7)]
        assert sum(n for path, n in site.asked.items() if path.endswith(".html")) == 7


def test_a_trap_of_endless_links_ends_at_the_limit() -> None:
    links = "".join(f'<a href="?day={n}">{n}</a>' for n in range(1000))
    with web({"/": html(f'<img src="a.jpg">{links}')}) as site:
        for n in range(1000):
            site.answers[f"/?day={n}"] = site.answers["/"]
        names([f"{site.url}/"], max_pages=13)
        assert sum(n for path, n in site.asked.items() if path != "/robots.txt") == 13


def test_a_trap_of_ever_new_links_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.ingestion.sources.pages.MAX_KNOWN", 7)
    links = "".join(f'<a href="{n}.html">{n}</a>' for n in range(100))
    with web({"/": html(f'<img src="a.jpg">{links}')}) as site:
        assert names([f"{site.url}/"]) == ["a.jpg"]
        assert site.asked.keys() == {"/", "/robots.txt", *(f"/{n}.html" for n in range(6))}


def test_a_linked_page_that_robots_txt_closes_is_not_asked_for() -> None:
    rules = Answer(body=b"User-agent: caplift\nDisallow: /private")
    first = html('<img src="a.jpg"><a href="private/b.html">b</a><a href="c.html">c</a>')
    pages = {"/": first, "/private/b.html": first, "/c.html": html('<img src="c.jpg">')}
    with web({**pages, "/robots.txt": rules}) as site:
        assert names([f"{site.url}/"]) == ["a.jpg", "c.jpg"]
        assert site.asked == {"/robots.txt": 1, "/": 1, "/c.html": 1}


def test_a_page_that_asks_for_patience_is_read_after_it() -> None:
    busy = Answer(body=b'<img src="b.jpg">', headers={"Retry-After": "0"}, first=(429,))
    with web({"/": html('<img src="a.jpg"><a href="b.html">b</a>'), "/b.html": busy}) as site:
        assert names([f"{site.url}/"], replace(HOW, retries=1)) == ["a.jpg", "b.jpg"]
        assert site.asked["/b.html"] == 2


def test_what_is_linked_twice_or_is_no_page_is_asked_once_or_never() -> None:
    pages = {
        "/": html(
            '<a href="a.html">a</a><a href="a.html#x">a</a><a href="./a.html">a</a>'
            '<a href="b.pdf">b</a><a href="c.zip">c</a><a href="d.jpg">d</a>'
        ),
        "/a.html": html('<img src="a.jpg"><a href="/">home</a>'),
    }
    with web(pages) as site:
        assert names([f"{site.url}/"]) == ["a.jpg"]
        assert site.asked == {"/robots.txt": 1, "/": 1, "/a.html": 1}


def test_other_sites_are_not_crawled_but_their_pictures_are_candidates() -> None:
    with web({"/": html('<img src="theirs.jpg">')}) as other:
        pages = {"/": html(f'<img src="{other.url}/x.jpg"><a href="{other.url}/">other</a>')}
        with web(pages) as site:
            assert names([f"{site.url}/"]) == ["x.jpg"]
            assert names([f"{site.url}/", f"{other.url}/"]) == ["x.jpg", "theirs.jpg"]


def test_a_start_page_that_moved_takes_its_site_along() -> None:
    new = {"/": html('<img src="1.jpg"><a href="2.html">2</a>')}
    with web(new | {"/2.html": html('<img src="2.jpg">')}) as moved, web({}) as site:
        site.answers["/"] = Answer(status=301, headers={"Location": f"{moved.url}/"})
        assert names([f"{site.url}/"]) == ["1.jpg", "2.jpg"]


def test_a_link_that_leads_away_by_a_redirect_shows_nothing_of_the_site() -> None:
    with web({"/": html('<img src="theirs.jpg"><a href="deep.html">deep</a>')}) as other:
        away = Answer(status=302, headers={"Location": f"{other.url}/"})
        with web({"/": html('<img src="a.jpg"><a href="go">go</a>'), "/go": away}) as site:
            assert names([f"{site.url}/"]) == ["a.jpg"]
            assert other.asked["/deep.html"] == 0


@pytest.mark.parametrize(
    "page",
    [
        html('<img src="b.jpg">', "application/json"),
        html('<meta name="robots" content="noai"><img src="b.jpg">'),
        html('<img src="b.jpg">', **{"X-Robots-Tag": "noai"}),
        Answer(status=500),
        Answer(),
        Answer(body=b"\xff\xd8\xff not html", headers={"Content-Type": "image/jpeg"}),
    ],
    ids=["json", "meta-noai", "header-noai", "error", "empty", "picture"],
)
def test_a_page_that_gives_nothing_stops_nothing(page: Answer) -> None:
    first = html('<a href="b.html">b</a><img src="a.jpg">')
    with web({"/": first, "/b.html": page}) as site:
        assert names([f"{site.url}/"]) == ["a.jpg"]


def test_pages_are_read_packed_and_in_the_encoding_that_the_server_names() -> None:
    body = gzip.compress('<img src="a.jpg" alt="кот">'.encode("koi8-r"))
    headers = {"Content-Type": "text/html; charset=KOI8-R", "Content-Encoding": "gzip"}
    with web({"/": Answer(body=body, headers=headers)}) as site:
        source = Source(batch="web", pages=(f"{site.url}/",))
        assert [one.text for one in page_candidates(source, HOW)] == ["кот"]


def test_files_and_folders_of_pages_are_read_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "site" / "sub"
    folder.mkdir(parents=True)
    (tmp_path / "site" / "b.html").write_text('<img src="http://a.org/b.jpg">')
    (folder / "c.htm").write_text('<img src="http://a.org/c.jpg">')
    (folder / "d.txt").write_text('<img src="http://a.org/d.jpg">')
    single = tmp_path / "a.html"
    single.write_text('<img src="http://a.org/a.jpg">')
    assert names([str(single), str(tmp_path / "site")]) == ["a.jpg", "b.jpg", "c.jpg"]


def test_pages_of_any_store_are_read() -> None:
    store = fsspec.filesystem("memory")
    for name in ("a.html", "b.HTM", "c.txt", "_d.html", "sub/e.xhtml"):
        store.pipe_file(f"/pages/{name}", f'<img src="http://a.org/{name}.jpg">'.encode())
    source = Source(batch="web", pages=("memory://pages", "memory://pages/sub/*.xhtml"))
    assert [(one.url, one.page_url) for one in page_candidates(source, HOW)] == [
        ("http://a.org/a.html.jpg", "memory:///pages/a.html"),
        ("http://a.org/b.HTM.jpg", "memory:///pages/b.HTM"),
        ("http://a.org/sub/e.xhtml.jpg", "memory:///pages/sub/e.xhtml"),
        ("http://a.org/sub/e.xhtml.jpg", "memory:///pages/sub/e.xhtml"),
    ]


def test_pages_are_let_go_as_they_are_read() -> None:
    with web(chain(40)) as site:
        source = Source(batch="web", pages=(f"{site.url}/0.html",))
        found = page_candidates(source, HOW)
        assert next(found).url == f"{site.url}/0.jpg"
        assert sum(n for path, n in site.asked.items() if path.endswith(".html")) == 1
        assert isinstance(found, Generator)
        found.close()


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("http://[::1/", "a start page is no address"),
        ("http://127.0.0.2/", "ssrf_blocked"),
        ("{folder}", "holds nothing that can be read; it is a file, a folder or a pattern"),
        ("{folder}/absent.html", "absent.html does not exist or holds nothing"),
        ("{folder}/*.html", "does not exist or holds nothing"),
        ("nosuch://a/b.html", "cannot be read .Protocol not known: nosuch"),
    ],
)
def test_a_start_that_cannot_be_read_is_one_line(tmp_path: Path, page: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        names([page.format(folder=tmp_path)])
    assert "\n" not in str(caught.value)


def test_a_start_page_that_robots_txt_closes_is_one_line() -> None:
    rules = Answer(body=b"User-agent: *\nDisallow: /")
    with web({"/": html('<img src="a.jpg">'), "/robots.txt": rules}) as site:
        with pytest.raises(InputError, match="robots_txt"):
            names([f"{site.url}/"])
        assert site.asked["/"] == 0
