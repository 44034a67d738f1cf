"""The links of a page as a WAT record gives them, after Common Crawl's extractor."""

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.ingestion.sources.candidates import (
    MAX_BASE_CHARS,
    MAX_PICTURES,
    Candidate,
    PageContent,
    folded,
    joined,
    shared_picture,
)
from tasks.ingestion.sources.srcset import SETS, SOURCES, is_inline, largest

ANSWER = ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata")


def page_url_of(envelope: Any) -> str:
    """Return the address of the page that a record is about, or an empty text."""
    headers = _within(envelope, "Envelope", "WARC-Header-Metadata")
    return str(headers.get("WARC-Target-URI") or "")


def header_values(envelope: Any, name: str) -> list[str]:
    """Return the values of a header of the page's answer; `name` is in lower case."""
    headers = _within(envelope, *ANSWER, "Headers")
    return [str(value) for key, value in headers.items() if key.lower() == name]


def read_links(envelope: Any, page_url: str) -> PageContent:
    """Return what a record says of a page's pictures; a record of anything else has none."""
    html = _within(envelope, *ANSWER, "HTML-Metadata")
    head = _within(html, "Head")
    title = folded(str(head.get("Title") or ""))
    base = str(head.get("Base") or "")
    base = joined(page_url, base) if len(base) <= MAX_BASE_CHARS else page_url
    facts, robots = _facts(head)
    shared = shared_picture(facts, title)
    found: dict[tuple[str, str], Candidate] = {}
    shown = ((address, text, title) for address, text in _images(html))
    for address, text, context in (*shown, *([(*shared, "og:image")] if shared else [])):
        url = joined(base, address)
        found.setdefault((url, text), Candidate(url, text, page_url, context))
    return PageContent(tuple(found.values()), frozenset(robots), base, ())


def _images(html: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    links = html.get("Links")
    for link in (links if isinstance(links, list) else [])[:MAX_PICTURES]:
        if not isinstance(link, Mapping):
            continue
        element, _, attribute = str(link.get("path") or "").lower().partition("@/")
        written = str(link.get("url") or "").strip()
        if attribute in SETS and element in ("img", "source"):
            written = largest(written)
        elif attribute not in SOURCES or element != "img":
            continue
        if written and not is_inline(written):
            said = folded(str(link.get("alt") or "")) or folded(str(link.get("title") or ""))
            yield written, said


def _facts(head: Mapping[str, Any]) -> tuple[dict[str, str], set[str]]:
    """Return what meta elements say for sharing the page, and what they ask of robots."""
    facts: dict[str, str] = {}
    robots: set[str] = set()
    metas = head.get("Metas")
    for meta in metas if isinstance(metas, list) else []:
        if isinstance(meta, Mapping):
            content = str(meta.get("content") or "")
            for name in {str(meta.get(key) or "").strip().lower() for key in ("property", "name")}:
                if name == "robots":
                    robots.update(part.strip() for part in content.lower().split(","))
                elif name:
                    facts.setdefault(name, folded(content))
    return facts, robots


def _within(value: Any, *names: str) -> Mapping[str, Any]:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}
