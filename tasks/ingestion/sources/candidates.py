"""Candidates out of HTML: every picture a page shows or names, with its texts.

A page is read once, from its beginning to its end, and no further than `MAX_PAGE_BYTES`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from tasks.ingestion.settings import Ingestion
from tasks.ingestion.sources.charset import decoded
from tasks.ingestion.sources.markup import Tag, tokens
from tasks.ingestion.sources.srcset import best_of_image, best_of_source, is_inline
from tasks.ingestion.sources.urls import BadUrlError, forward_slashed, normalise

log = logging.getLogger(__name__)

MAX_PAGE_BYTES = 5 << 20  # as much as Common Crawl keeps of a page
MAX_PICTURES = 10_000
MAX_LINKS = 10_000
MAX_TEXT_CHARS = 10_000
MAX_HEADING_CHARS = 500  # one that is never closed would take in the page
MAX_BASE_CHARS = 2_000  # it is repeated in every address of the page
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
IMAGES = frozenset({"img", "amp-img"})
# Their end ends a figure that was opened in them, though its own end tag is missing.
BLOCKS = frozenset({"div", "section", "article", "main", "aside"})
OTHERS = frozenset({"picture", "source", "figure", "figcaption", "title", "meta", "base", "a"})
WANTED = HEADINGS | IMAGES | BLOCKS | OTHERS
OPEN_GRAPH = ("og:image", "og:image:url", "og:image:secure_url", "twitter:image")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture's address as a page gave it, one text about it, and what stands around it.

    `url` may be unusable: such a candidate is planned too and becomes a row that says so.

    Attributes:
        url: of the picture.
        text: what the page says of it, or empty.
        page_url: where that was read.
        context: a figure's caption, or the heading above, or the page's title.
        expected_hash: hex digits of a hash of the picture's bytes, or empty.
        body_path: the WARC in which its bytes lie, or empty.
        body_offset: of their record in it.
        additional: columns of its URL table that are carried along.
        boxes: parts of the picture to blur, as `tasks.ingestion.pictures.blurring` has them.
    """

    url: str
    text: str
    page_url: str
    context: str = ""
    expected_hash: str = ""
    body_path: str = ""
    body_offset: int = 0
    additional: Mapping[str, Any] = field(default_factory=dict)
    boxes: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class PageContent:
    """What a page gives: its candidates, each (url, text) once, and what it asks of robots."""

    candidates: tuple[Candidate, ...]
    robots: frozenset[str]
    base: str
    hrefs: tuple[str, ...]

    def is_closed(self, how: Ingestion) -> bool:
        """True when its <meta name="robots"> forbids this use, as X-Robots-Tag would."""
        return how.respect_opt_outs and not self.robots.isdisjoint(how.disallowed_header_directives)

    def links(self) -> list[str]:
        """Return the normalised http addresses it lets crawlers follow, in order, each once."""
        if self.robots & {"nofollow", "none"}:
            return []
        found: dict[str, None] = {}
        for href in self.hrefs:
            try:
                found.setdefault(normalise(joined(self.base, href)))
            except BadUrlError:
                continue
        return list(found)


def read_page(html: bytes | str, page_url: str, charset: str = "") -> PageContent:
    """Return what a page gives, pictures in the order of the page.

    A picture's text is its alt, its title, or the caption of its figure: the first that is not
    empty. `og:image` comes last, with `og:image:alt` or the page's title.

    Args:
        html: the page.
        page_url: where it was read; addresses are relative to it or to its <base>.
        charset: what the server said, if anything.
    """
    some = html[:MAX_PAGE_BYTES]
    if len(html) > len(some):
        log.info("page %s: only the first %d bytes are read", page_url[:200], MAX_PAGE_BYTES)
    reading = _Reading()
    reading.read(some if isinstance(some, str) else decoded(some, charset))
    base = joined(page_url, reading.base) if reading.base else page_url
    found: dict[tuple[str, str], Candidate] = {}
    for address, text, context in (*reading.shown(), *reading.named()):
        url = joined(base, address)
        found.setdefault((url, text), Candidate(url, text, page_url, context))
    return PageContent(tuple(found.values()), frozenset(reading.robots), base, tuple(reading.hrefs))


def joined(base: str, address: str) -> str:
    """Return an address of a page made absolute, or as it was given when it is none."""
    try:
        return urljoin(base, forward_slashed(address.strip()))
    except ValueError:  # such as an unclosed [ in a host: kept as it is, a row will say bad_url
        return address.strip()


def folded(text: str) -> str:
    """Return a text as one line that every table can hold."""
    return " ".join(text.split())[:MAX_TEXT_CHARS].encode("utf-8", "replace").decode()


def shared_picture(facts: Mapping[str, str], title: str) -> tuple[str, str] | None:
    """Return address and text of the picture that stands for a page where it is shared.

    Args:
        facts: contents of the page's meta elements by property or name, in lower case.
        title: of the page, for a picture of which nothing else is said.
    """
    address = next(filter(None, map(facts.get, OPEN_GRAPH)), "")
    if not address or is_inline(address):
        return None
    said = facts.get("og:image:alt") or facts.get("twitter:image:alt")
    return address, said or facts.get("og:title") or title


@dataclass(slots=True)
class _Text:
    """The text of an element while it is read; what is beyond `most` characters is let go."""

    most: int = MAX_TEXT_CHARS
    pieces: list[str] = field(default_factory=list)
    chars: int = 0
    whole: str | None = None

    def add(self, piece: str) -> None:
        if self.chars < self.most:
            self.pieces.append(piece[: self.most - self.chars])
            self.chars += len(piece)

    def folded(self) -> str:
        if self.whole is None:  # made once for all the pictures it belongs to
            self.whole = folded("".join(self.pieces))
        return self.whole


@dataclass(slots=True)
class _Figure:
    depth: int
    caption: _Text | None = None


@dataclass(slots=True)
class _Shown:
    address: str
    said: str
    figure: _Figure | None
    heading: _Text | None


class _Reading:
    """What is known of a page up to where it is read."""

    def __init__(self) -> None:
        self.base = ""
        self.robots: set[str] = set()
        self.hrefs: list[str] = []
        self._facts: dict[str, str] = {}
        self._pictures: list[_Shown] = []
        self._title: _Text | None = None
        self._heading: _Text | None = None
        self._figures: list[_Figure] = []
        self._of_picture: str | None = None  # None outside of a picture element
        self._depth = 0
        self._open: dict[str, _Text] = {}  # texts being read: of title, heading, caption
        one_by_one: dict[str, Callable[[Tag], None]] = {
            "picture": self._picture,
            "source": self._source,
            "figure": self._figure,
            "figcaption": self._caption,
            "title": self._page_title,
            "meta": self._meta,
            "base": self._first_base,
            "a": self._link,
        }
        self._take = {
            **one_by_one,
            **dict.fromkeys(HEADINGS, self._head),
            **dict.fromkeys(IMAGES, self._image),
            **dict.fromkeys(BLOCKS, self._block),
        }

    def read(self, html: str) -> None:
        for token in tokens(html, WANTED):
            if isinstance(token, Tag):
                self._take[token.name](token)
            else:
                for text in self._open.values():
                    text.add(token)

    def shown(self) -> Iterator[tuple[str, str, str]]:
        """Yield address, text and context of what the page shows."""
        title = self._title.folded() if self._title else ""
        for one in self._pictures:
            caption = one.figure.caption.folded() if one.figure and one.figure.caption else ""
            above = one.heading.folded() if one.heading else ""
            yield one.address, one.said or caption, caption or above or title

    def named(self) -> Iterator[tuple[str, str, str]]:
        """Yield the picture that stands for the page where it is shared."""
        if shared := shared_picture(self._facts, self._title.folded() if self._title else ""):
            yield (*shared, "og:image")

    def _image(self, tag: Tag) -> None:
        if tag.is_end or len(self._pictures) >= MAX_PICTURES:
            return
        attributes = tag.attributes
        if address := best_of_image(attributes, self._of_picture or ""):
            said = folded(attributes.get("alt", "")) or folded(attributes.get("title", ""))
            figure = self._figures[-1] if self._figures else None
            self._pictures.append(_Shown(address, said, figure, self._heading))

    def _picture(self, tag: Tag) -> None:
        self._of_picture = None if tag.is_end else ""

    def _source(self, tag: Tag) -> None:
        if self._of_picture == "" and not tag.is_end:
            self._of_picture = best_of_source(tag.attributes)

    def _block(self, tag: Tag) -> None:
        self._depth = max(0, self._depth + (-1 if tag.is_end else 1))
        while self._figures and self._figures[-1].depth > self._depth:
            self._leave_figure()

    def _figure(self, tag: Tag) -> None:
        if not tag.is_end:
            self._figures.append(_Figure(self._depth))
        elif self._figures:
            self._leave_figure()

    def _leave_figure(self) -> None:
        self._figures.pop()
        self._open.pop("caption", None)

    def _caption(self, tag: Tag) -> None:
        self._open.pop("caption", None)
        if not tag.is_end and self._figures and self._figures[-1].caption is None:
            self._figures[-1].caption = self._open["caption"] = _Text()

    def _head(self, tag: Tag) -> None:
        self._open.pop("heading", None)
        if not tag.is_end:
            self._heading = self._open["heading"] = _Text(MAX_HEADING_CHARS)

    def _page_title(self, tag: Tag) -> None:
        self._open.pop("title", None)
        if not tag.is_end and self._title is None:
            self._title = self._open["title"] = _Text()

    def _meta(self, tag: Tag) -> None:
        attributes = tag.attributes
        content = attributes.get("content", "")
        for name in {attributes.get(key, "").strip().lower() for key in ("property", "name")}:
            if name == "robots":
                self.robots.update(part.strip() for part in content.lower().split(","))
            elif name.startswith(("og:", "twitter:")):
                self._facts.setdefault(name, folded(content))

    def _first_base(self, tag: Tag) -> None:
        href = tag.attributes.get("href", "")
        if not self.base and len(href) <= MAX_BASE_CHARS:
            self.base = href

    def _link(self, tag: Tag) -> None:
        if not tag.is_end and len(self.hrefs) < MAX_LINKS:
            attributes = tag.attributes
            is_left = "nofollow" in attributes.get("rel", "").lower().split()
            if "href" in attributes and not is_left:
                self.hrefs.append(attributes["href"])
