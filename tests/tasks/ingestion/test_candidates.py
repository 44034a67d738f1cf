"""A page gives the pictures a browser would show, with the texts its author gave them."""

import sys

import pytest

from tasks.ingestion.settings import Ingestion
from tasks.ingestion.sources import candidates
from tasks.ingestion.sources.candidates import Candidate, read_page
from tasks.ingestion.sources.charset import decoded

PAGE = "http://a.org/x/page.html"


def candidates_of(html: str | bytes) -> tuple[Candidate, ...]:
    return read_page(html, PAGE).candidates


def found(html: str) -> list[tuple[str, str]]:
    return [(one.url, one.text) for one in candidates_of(html)]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<img src="a.jpg" alt=" a  cat ">', [("http://a.org/x/a.jpg", "a cat")]),
        ('<img src="/a.jpg" title="a cat">', [("http://a.org/a.jpg", "a cat")]),
        ('<img src="//b.org/a.jpg">', [("http://b.org/a.jpg", "")]),
        (r'<img src="images\a.jpg">', [("http://a.org/x/images/a.jpg", "")]),
        ('<base href="http://c.org/d/"><img src="a.jpg">', [("http://c.org/d/a.jpg", "")]),
        (
            '<img src="s.gif" data-src="big.jpg" alt="lazy">',
            [("http://a.org/x/big.jpg", "lazy")],
        ),
        (
            '<img srcset="s.jpg 320w, l.jpg 1280w, m.jpg 640w" src="s.jpg" alt="wide">',
            [("http://a.org/x/l.jpg", "wide")],
        ),
        ('<img srcset="1.jpg, 2.jpg 2x" alt="dense">', [("http://a.org/x/2.jpg", "dense")]),
        (
            '<picture><source srcset="p.webp 900w"><img src="p.jpg" alt="p"></picture>',
            [("http://a.org/x/p.webp", "p")],
        ),
        (
            "<figure><img src='a.jpg'><figcaption>A <b>red</b> boat</figcaption></figure>",
            [("http://a.org/x/a.jpg", "A red boat")],
        ),
        ('<img src="data:image/gif;base64,R0lGOD" alt="dot">', []),
        ("<img alt='no address'>", []),
        (
            '<img srcset="data:x 9w" data-srcset="s.jpg 1x, l.jpg 2x" src="dot.gif">',
            [("http://a.org/x/l.jpg", "")],
        ),
        (
            '<img src="a-300x200.jpg" data-orig-file="/up/a.jpg" alt="upload">',
            [("http://a.org/up/a.jpg", "upload")],
        ),
        (
            '<picture><source type="image/svg+xml" srcset="a.svg"><source srcset="a.png">'
            '<img src="s.jpg" alt="p"></picture><img src="b.jpg" alt="after">',
            [("http://a.org/x/a.png", "p"), ("http://a.org/x/b.jpg", "after")],
        ),
        (
            '<video><source srcset="v.jpg"></video><noscript><img src="n.jpg"></noscript>',
            [("http://a.org/x/n.jpg", "")],
        ),
        ('<amp-img src="a.jpg" alt="fast"></amp-img>', [("http://a.org/x/a.jpg", "fast")]),
        ("<IMG SRC=a.jpg ALT=cat ALT=dog>", [("http://a.org/x/a.jpg", "cat")]),
        (
            '<img src="a.jpg" alt="a > b"><!-- <img src=no.jpg> -->',
            [("http://a.org/x/a.jpg", "a > b")],
        ),
        ('<script>"<img src=no.jpg>"</script><textarea><img src=no.jpg></textarea>', []),
        ('<img src="a.jpg?x=1&copy=2&amp;y=3">', [("http://a.org/x/a.jpg?x=1&copy=2&y=3", "")]),
        ('<img src="a.jpg" alt="A &amp; B &lt;3">', [("http://a.org/x/a.jpg", "A & B <3")]),
        (
            '<meta property="og:image" content="o.jpg"><title>A boat</title>',
            [("http://a.org/x/o.jpg", "A boat")],
        ),
        (
            '<meta name="twitter:image" content="t.jpg"><meta property="og:title" content="T">',
            [("http://a.org/x/t.jpg", "T")],
        ),
        (
            "<svg><title>Logo</title><style/></svg><title>Page</title>"
            '<meta property="og:image" content="o.jpg">',
            [("http://a.org/x/o.jpg", "Page")],
        ),
        (
            '<img src="a.jpg" alt="one"><img src="a.jpg" alt="two"><img src="a.jpg" alt="one">',
            [("http://a.org/x/a.jpg", "one"), ("http://a.org/x/a.jpg", "two")],
        ),
    ],
)
def test_a_picture_is_found_where_a_browser_finds_it(
    html: str, expected: list[tuple[str, str]]
) -> None:
    assert found(html) == expected


def test_the_heading_above_a_picture_is_its_context() -> None:
    html = "<h1>Boats</h1><img src=a.jpg alt=a><h2>Cats</h2><img src=b.jpg alt=b>"
    assert [one.context for one in candidates_of(html)] == ["Boats", "Cats"]
    (inside,) = candidates_of("<title>Harbour</title><h1><img src=a.jpg>Boats</h1>")
    assert inside.context == "Boats"
    (alone,) = candidates_of("<title>Harbour</title><img src=a.jpg>")
    assert alone.context == "Harbour"


@pytest.mark.parametrize(
    "html",
    [
        "<figure><img src=a.jpg><figcaption>A boat</figcaption></figure><img src=b.jpg>",
        "<div><figure><img src=a.jpg><figcaption>A boat</div><img src=b.jpg>",
        "<figure><figcaption>A boat</figcaption><img src=a.jpg></figure><p>text<img src=b.jpg>",
        "<figure><figure><figcaption>A boat</figcaption><img src=a.jpg></figure>"
        "<img src=b.jpg></figure>",
    ],
)
def test_a_caption_is_of_the_pictures_of_its_figure_only(html: str) -> None:
    assert [one.text for one in candidates_of(html)] == ["A boat", ""]


def test_no_more_of_a_page_is_read_than_it_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    html = b"<img src=1.jpg>" + b" " * 100 + b"<img src=2.jpg>"
    monkeypatch.setattr(candidates, "MAX_PAGE_BYTES", 101)
    assert [one.url for one in candidates_of(html)] == ["http://a.org/x/1.jpg"]


def test_a_page_gives_no_more_than_ten_thousand_pictures_and_links() -> None:
    page = read_page("".join(f"<img src={n}><a href={n}>" for n in range(10_007)), PAGE)
    assert [one.url for one in page.candidates[-2:]] == [
        "http://a.org/x/9998",
        "http://a.org/x/9999",
    ]
    assert len(page.links()) == 10_000


def test_a_base_that_would_fill_memory_is_no_base() -> None:
    html = f'<base href="http://{"b" * 5000}.org/"><img src=a.jpg>'
    assert found(html) == [("http://a.org/x/a.jpg", "")]


@pytest.mark.parametrize(
    "html",
    [
        "<img src=a.jpg",
        "<img src='" + "a" * 100_000 + "'>",
        "<div>" * 5_000 + "<img src=a.jpg>",
        "<img srcset='" + ", " * 50_000 + "'>",
        '<img src="http://[::1" alt="unclosed">',
        "<img src=a.jpg alt='&#xd800;'>",
        "",
    ],
)
def test_hostile_pages_give_what_can_be_stored(html: str) -> None:
    for one in candidates_of(html):
        assert (one.url + one.text + one.context).encode("utf-8")


def test_the_caption_of_a_figure_is_read_once_for_all_its_pictures() -> None:
    images = "".join(f"<img src={number}.jpg>" for number in range(11))
    html = f"<figure><figcaption>{'word ' * 101}</figcaption>{images}</figure>"
    contexts = [one.context for one in candidates_of(html)]
    assert len(contexts) == 11
    assert len({id(context) for context in contexts}) == 1


def hostile(kind: str, n: int) -> str:
    images = "".join(f"<img src={number}.jpg>" for number in range(n))
    return {
        "many sources": f"<picture>{'<source x>' * n}{images}</picture>",
        "nested headings": "".join(f"<h1><div>a<img src={number}.jpg>" for number in range(n)),
        "nested figures": "".join(f"<figure><img src={number}.jpg>" for number in range(n)),
        "nested captions": "<figure>" + "<figcaption>a" * n + images,
        "nested blocks": "<div>" * n + images,
        "nested anything": "".join(f"<p><font size={number}>" for number in range(n)) + images,
        "attributes": images + "<img " + "".join(f"a{number}=1 " for number in range(n)) + ">",
        "open quotes": images + "<img alt='" * n,
        "open comments": images + "<!--" * n,
        "open scripts": images + "<script>" * n,
        "drawings": images + "<svg><title/>" * n,
        "references": images + "&#9" * n + "&" * n,
        "equal signs": images + "<img " + "=" * n + ">",
    }[kind]


def calls(kind: str, n: int) -> int:
    """How many functions, ours and the parser's, a hostile page of n images makes us call."""
    html = hostile(kind, n)
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        assert len(candidates_of(html)) >= n
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "kind",
    [
        "many sources",
        "nested headings",
        "nested figures",
        "nested captions",
        "nested blocks",
        "nested anything",
        "attributes",
        "open quotes",
        "open comments",
        "open scripts",
        "drawings",
        "references",
        "equal signs",
    ],
)
def test_work_grows_with_a_hostile_page_and_not_with_its_square(kind: str) -> None:
    # From 499 to 1,997 images, both above every limit: four times the page, sixteen its square.
    assert calls(kind, 1997) < 6 * calls(kind, 499)


def test_a_caption_is_found_in_a_wrapper_and_around_links() -> None:
    html = (
        "<figure><a href='/big'><img src='a.jpg'></a>"
        "<div><figcaption>A <a>red</a> boat</figcaption></div></figure>"
    )
    assert found(html) == [("http://a.org/x/a.jpg", "A red boat")]


@pytest.mark.parametrize(
    ("html", "charset", "text"),
    [
        ("é".encode(), "", "é"),
        ("é".encode("latin-1"), "", "é"),
        (b"<meta charset=iso-8859-15>\xa4", "", "<meta charset=iso-8859-15>€"),
        ("é".encode("utf-16"), "", "é"),
        ("я".encode("koi8-r"), "koi8-r", "я"),
        (b"\x93quoted\x94", "iso-8859-1", "“quoted”"),
        ("é".encode(), "no-such-encoding", "é"),
        (b"<meta charset=utf-16>boat", "", "<meta charset=utf-16>boat"),
        ("髙".encode("cp932"), "Shift_JIS", "髙"),
        (b"boat-", "punycode", "boat-"),
        (b"\\x41", "unicode_escape", "\\x41"),
        (b"<meta charset=utf-7>+AGE-", "", "<meta charset=utf-7>+AGE-"),
    ],
)
def test_a_page_is_read_in_the_encoding_browsers_take(html: bytes, charset: str, text: str) -> None:
    assert decoded(html, charset).lstrip("\ufeff") == text


def test_links_are_those_a_crawler_may_follow() -> None:
    html = (
        '<a href="b.html">b</a><a href="b.html#part">again</a><a href="mailto:x@a.org">m</a>'
        '<a rel="external nofollow" href="n.html">n</a><a href="http://B.org:80/">other</a>'
        "<a name=top>no address</a>"
    )
    assert read_page(html, PAGE).links() == ["http://a.org/x/b.html", "http://b.org/"]
    closed = '<meta name="robots" content="noindex, nofollow">' + html
    assert read_page(closed, PAGE).links() == []


@pytest.mark.parametrize(
    ("content", "closed"), [("noai", True), ("index, NOIMAGEAI", True), ("follow", False)]
)
def test_a_page_can_opt_out(content: str, closed: bool) -> None:
    page = read_page(f'<meta name="Robots" content="{content}">', PAGE)
    assert page.is_closed(Ingestion()) is closed
    assert not page.is_closed(Ingestion(respect_opt_outs=False))
    assert not page.is_closed(Ingestion(disallowed_header_directives=("noml",)))
