"""A page gives the pictures a browser would show, with the texts its author gave them."""

import sys

import pytest

from tasks.ingestion.candidates import candidates_of, decoded, links_of, opts_out

PAGE = "http://a.org/x/page.html"


def found(html: str) -> list[tuple[str, str]]:
    return [(one.url, one.text) for one in candidates_of(html, PAGE)]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<img src="a.jpg" alt=" a  cat ">', [("http://a.org/x/a.jpg", "a cat")]),
        ('<img src="/a.jpg" title="a cat">', [("http://a.org/a.jpg", "a cat")]),
        ('<img src="//b.org/a.jpg">', [("http://b.org/a.jpg", "")]),
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
        ('<img src="a.jpg" alt="A &amp; B &lt;3">', [("http://a.org/x/a.jpg", "A & B <3")]),
        (
            '<meta property="og:image" content="o.jpg"><title>A boat</title>',
            [("http://a.org/x/o.jpg", "A boat")],
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
    assert [one.context for one in candidates_of(html, PAGE)] == ["Boats", "Cats"]


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
    for one in candidates_of(html, PAGE):
        assert (one.url + one.text + one.context).encode("utf-8")


def test_the_caption_of_a_figure_is_read_once_for_all_its_pictures() -> None:
    images = "".join(f"<img src={number}.jpg>" for number in range(11))
    html = f"<figure><figcaption>{'word ' * 101}</figcaption>{images}</figure>"
    contexts = [one.context for one in candidates_of(html, PAGE)]
    assert len(contexts) == 11
    assert len({id(context) for context in contexts}) == 1


def hostile(kind: str, n: int) -> str:
    images = "".join(f"<img src={number}.jpg>" for number in range(n))
    return {
        "many sources": f"<picture>{'<source x>' * n}{images}</picture>",
        "nested headings": "".join(f"<h1><div>a<img src={number}.jpg>" for number in range(n)),
        "nested figures": "".join(f"<figure><img src={number}.jpg>" for number in range(n)),
        "nested captions": "<figure>" + "<figcaption>a" * n + images,
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
        assert len(candidates_of(html, PAGE)) == n
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "kind",
    ["many sources", "nested headings", "nested figures", "nested captions"],
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
    ],
)
def test_a_page_is_read_in_the_encoding_browsers_take(html: bytes, charset: str, text: str) -> None:
    assert decoded(html, charset).lstrip("\ufeff") == text


def test_links_are_those_a_crawler_may_follow() -> None:
    html = (
        '<a href="b.html">b</a><a href="b.html#part">again</a><a href="mailto:x@a.org">m</a>'
        '<a rel="external nofollow" href="n.html">n</a><a href="http://B.org:80/">other</a>'
    )
    assert links_of(html, PAGE) == ["http://a.org/x/b.html", "http://b.org/"]
    assert links_of('<meta name="robots" content="noindex, nofollow">' + html, PAGE) == []


@pytest.mark.parametrize(
    ("content", "closed"), [("noai", True), ("index, NOIMAGEAI", True), ("follow", False)]
)
def test_a_page_can_opt_out(content: str, closed: bool) -> None:
    assert opts_out(f'<meta name="Robots" content="{content}">') is closed
