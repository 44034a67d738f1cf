"""Candidates out of HTML: every picture a page shows or names, with its texts."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

from tasks.ingestion.policy import OPT_OUT_DIRECTIVES
from tasks.ingestion.urls import BadUrlError, normalise

SETS = ("srcset", "data-srcset")
LAZY_SOURCES = ("data-src", "data-original", "data-lazy-src", "src")
MAX_TEXT_CHARS = 10_000
MAX_SRCSET_CHARS = 20_000
CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
META_WITHIN = 1024  # bytes; HTML standard, section 13.2.3.2
BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
LATIN_1 = frozenset({"iso-8859-1", "iso8859-1", "latin1", "latin-1", "ascii", "us-ascii"})
MAX_CAPTION_NODES = 1000
MAX_HEADING_NODES = 100
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture's address as a page gave it, one text about it, and what stands around it.

    `url` may be unusable: such a candidate is planned too and becomes a row that says so.
    """

    url: str
    text: str
    page_url: str
    context: str = ""
    expected_hash: str = ""
    body_path: str = ""
    body_offset: int = 0


def candidates_of(html: bytes | str, page_url: str, charset: str = "") -> list[Candidate]:
    """Return the candidates of a page in document order, each (url, text) once.

    A picture's text is its alt, its title, or the caption of its figure: the first that is not
    empty. `og:image` comes with `og:image:alt` or the page's title.

    Args:
        html: the page.
        page_url: where it was read; addresses are relative to it or to its <base>.
        charset: what the server said, if anything.
    """
    tree = _tree(html, charset)
    base = _base_of(tree, page_url)
    found: dict[tuple[str, str], Candidate] = {}
    for candidate in (*_images(tree, base, page_url), *_open_graph(tree, base, page_url)):
        found.setdefault((candidate.url, candidate.text), candidate)
    return list(found.values())


def opts_out(html: bytes | str) -> bool:
    """True when a page's <meta name="robots"> forbids this use, as X-Robots-Tag would."""
    return bool(_robots_directives(_tree(html)) & OPT_OUT_DIRECTIVES)


def links_of(html: bytes | str, page_url: str) -> list[str]:
    """Return the normalised http addresses a page lets crawlers follow, in order, each once."""
    tree = _tree(html)
    if _robots_directives(tree) & {"nofollow", "none"}:
        return []
    base = _base_of(tree, page_url)
    links: dict[str, None] = {}
    for node in tree.css("a[href]"):
        if "nofollow" in (node.attributes.get("rel") or "").lower().split():
            continue
        try:
            links.setdefault(normalise(_joined(base, node.attributes.get("href") or "")))
        except BadUrlError:
            continue
    return list(links)


def _tree(html: bytes | str, charset: str = "") -> LexborHTMLParser:
    return LexborHTMLParser(html if isinstance(html, str) else decoded(html, charset))


def decoded(html: bytes, charset: str = "") -> str:
    """Return a page's text: by its byte order mark, the server's word, its <meta>, or UTF-8.

    A page that names no encoding, or a wrong one, and is no UTF-8 is read as windows-1252, which
    is what browsers do.
    """
    marked = next((name for mark, name in BYTE_ORDER_MARKS if html.startswith(mark)), "")
    named = CHARSET.search(html[:META_WITHIN])
    for name in (marked, charset, named.group(1).decode() if named else "", "utf-8"):
        # Browsers read iso-8859-1 and ascii as windows-1252, whose printable signs pages mean.
        name = "windows-1252" if name.lower() in LATIN_1 else name
        try:
            return html.decode(name) if name else html.decode("utf-8")
        except (LookupError, UnicodeDecodeError):
            continue
    return html.decode("windows-1252", "replace")


def _robots_directives(tree: LexborHTMLParser) -> set[str]:
    contents = [
        (node.attributes.get("content") or "").lower()
        for node in tree.css("meta[name]")
        if (node.attributes.get("name") or "").strip().lower() == "robots"
    ]
    return {directive.strip() for content in contents for directive in content.split(",")}


def _images(tree: LexborHTMLParser, base: str, page_url: str) -> Iterator[Candidate]:
    heading: LexborNode | None = None
    # Of each figure and picture element, by its id: looked up once for all the img in it, because
    # one caption of a megabyte above ten thousand of them took minutes.
    captions: dict[int, str] = {}
    sources: dict[int, str] = {}
    for node in tree.css(", ".join(("img", *HEADINGS))):
        if node.tag in HEADINGS:
            heading = node
            continue
        address = _source_of(node, sources)
        if not address:
            continue
        figure = _figure_caption(node, captions)
        text = (
            _folded(node.attributes.get("alt") or "")
            or _folded(node.attributes.get("title") or "")
            or figure
        )
        context = figure or (_text_within(heading, MAX_HEADING_NODES) if heading else "")
        yield Candidate(_joined(base, address), text, page_url, context)


def _source_of(node: LexborNode, sources: dict[int, str]) -> str:
    """Return the best address of an img: largest of srcset, its picture's, or lazy source."""
    if largest := _largest_of_sets(node):
        return largest
    parent = node.parent
    if parent is not None and parent.tag == "picture":
        if parent.mem_id not in sources:
            found = (_largest_of_sets(child) for child in parent.iter() if child.tag == "source")
            sources[parent.mem_id] = next(filter(None, found), "")
        if sources[parent.mem_id]:
            return sources[parent.mem_id]
    for name in LAZY_SOURCES:
        value = (node.attributes.get(name) or "").strip()
        if value and not _is_inline(value):
            return value
    return ""


def _largest_of_sets(node: LexborNode) -> str:
    return next(filter(None, (_largest(node.attributes.get(name) or "") for name in SETS)), "")


def _largest(srcset: str) -> str:
    """Return the address with the largest width or density of a srcset."""
    best, best_size = "", -1.0
    for address, descriptor in _choices(srcset[:MAX_SRCSET_CHARS]):
        try:
            size = float(descriptor[:-1] or 1.0)
        except ValueError:
            size = 1.0
        if size > best_size and not _is_inline(address):
            best, best_size = address, size
    return best


def _choices(srcset: str) -> Iterator[tuple[str, str]]:
    """Yield address and descriptor of each choice; addresses may hold commas (HTML, 4.8.4.2.1)."""
    rest = srcset
    while rest := rest.lstrip(" \t\r\n\f,"):
        address = rest.split(maxsplit=1)[0]
        rest = rest[len(address) :]
        if address.endswith(","):
            yield address.rstrip(","), ""
        else:
            descriptor, _, rest = rest.partition(",")
            yield address, descriptor.strip()


def _is_inline(address: str) -> bool:
    return address[:5].lower() == "data:"


def _figure_caption(node: LexborNode, captions: dict[int, str]) -> str:
    ancestor = node.parent
    for _ in range(4):
        if ancestor is None:
            return ""
        if ancestor.tag == "figure":
            if ancestor.mem_id not in captions:
                captions[ancestor.mem_id] = _caption_of(ancestor)
            return captions[ancestor.mem_id]
        ancestor = ancestor.parent
    return ""


def _caption_of(figure: LexborNode) -> str:
    # Two levels, not all: figures may be nested a hundred thousand deep.
    inner = (one for child in figure.iter() for one in (child, *child.iter()))
    caption = next((one for one in inner if one.tag == "figcaption"), None)
    return _text_within(caption, MAX_CAPTION_NODES) if caption is not None else ""


def _text_within(node: LexborNode, most: int) -> str:
    """Return the text of the first `most` nodes below a node."""
    below = itertools.islice(node.traverse(include_text=True), most + 1)
    return _folded("".join(one.text_content or "" for one in below if one.tag == "-text"))


def _open_graph(tree: LexborHTMLParser, base: str, page_url: str) -> Iterator[Candidate]:
    facts: dict[str, str] = {}
    for node in tree.css("meta[property]"):
        name = (node.attributes.get("property") or "").lower()
        facts.setdefault(name, _folded(node.attributes.get("content") or ""))
    address = facts.get("og:image") or facts.get("og:image:url")
    if address and not _is_inline(address):
        title = tree.css_first("title")
        text = facts.get("og:image:alt") or facts.get("og:title") or ""
        if not text and title is not None:
            text = _folded(title.text())
        yield Candidate(_joined(base, address), text, page_url, "og:image")


def _base_of(tree: LexborHTMLParser, page_url: str) -> str:
    base = tree.css_first("base[href]")
    return _joined(page_url, base.attributes.get("href") or "") if base is not None else page_url


def _joined(base: str, address: str) -> str:
    try:
        return urljoin(base, address.strip())
    except ValueError:  # such as an unclosed [ in a host: kept as it is, a row will say bad_url
        return address.strip()


def _folded(text: str) -> str:
    # Entities such as &#xd800; would be lone surrogates, which no table holds.
    return " ".join(text.split())[:MAX_TEXT_CHARS].encode("utf-8", "replace").decode()
