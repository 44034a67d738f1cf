"""Pages of a source: a site crawled politely from its start pages, or HTML files on disk."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import InputError
from tasks.ingestion.candidates import Candidate, candidates_of, links_of, opts_out
from tasks.ingestion.fetch import Fetcher
from tasks.ingestion.fetched import Fetched
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.urls import BadUrlError, file_name_of, normalise, origin_of
from tasks.rows import Outcome

log = logging.getLogger(__name__)

PAGE_SUFFIXES = ("", ".html", ".htm", ".xhtml", ".php", ".asp", ".aspx")
PAGES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it was read; `charset` is the server's word, or empty."""

    html: bytes
    url: str
    charset: str = ""


def page_candidates(source: Source, how: Ingestion) -> Iterator[Candidate]:
    """Yield the candidates of a source's pages, page by page in the order they were reached.

    Raises:
        InputError: a start page cannot be read, or no page shows a picture.
    """
    addresses = [page for page in source.pages if page.startswith(("http://", "https://"))]
    files = [page for page in source.pages if page not in addresses]
    count = closed = 0
    for page in (*_files(files), *asyncio.run(_crawled(addresses, source.max_pages, how))):
        if how.respect_opt_outs and opts_out(page.html):
            closed += 1
            continue
        for candidate in candidates_of(page.html, page.url, page.charset):
            count += 1
            yield candidate
    if closed:
        log.info("%d pages forbid this use of what they show (meta robots)", closed)
    if source.pages and not count:
        raise InputError(
            f"the pages of batch {source.batch!r} show no picture that may be used "
            f"({', '.join(source.pages)[:200]})"
            "; are they galleries or articles, and is what they show in their HTML?"
        )


def _files(paths: list[str]) -> Iterator[Page]:
    for path in map(Path, paths):
        pages = [path] if path.is_file() else sorted(path.rglob("*.htm*"))
        if not pages:
            raise InputError(f"{path} is neither an HTML file nor a folder that holds some")
        for page in pages:
            try:
                yield Page(page.read_bytes(), page.absolute().as_uri())
            except OSError as error:
                raise InputError(f"the page {page} cannot be read ({error.strerror})") from error


async def _crawled(starts: list[str], max_pages: int, how: Ingestion) -> list[Page]:
    """Read pages breadth first, in rounds, on the start pages' own origins only."""
    if not starts:
        return []
    try:
        crawl = _Crawl([normalise(start) for start in starts])
    except BadUrlError as error:
        raise InputError(f"a start page is no address: {error}") from error
    async with Fetcher(how) as fetcher:
        while crawl.frontier and len(crawl.pages) < max_pages:
            some = crawl.next_round(max_pages - len(crawl.pages))
            for page in await asyncio.gather(*(_read(fetcher, url) for url in some)):
                crawl.take(page)
    if crawl.frontier:
        log.warning("stopped after %d pages; %d more are known", max_pages, len(crawl.frontier))
    log.info("read %d pages", len(crawl.pages))
    return crawl.pages


async def _read(fetcher: Fetcher, url: str) -> Fetched:
    async with fetcher.turn(url):
        return await fetcher.get(url)


class _Crawl:
    """What is known of a site while it is read: pages, and addresses still to ask."""

    def __init__(self, starts: list[str]) -> None:
        self.starts = frozenset(starts)
        self.frontier = deque(dict.fromkeys(starts))
        self.pages: list[Page] = []
        self._origins = {origin_of(url) for url in starts}
        self._seen = set(starts)
        self._read: set[str] = set()

    def next_round(self, room: int) -> list[str]:
        count = min(PAGES_AT_ONCE, room, len(self.frontier))
        return [self.frontier.popleft() for _ in range(count)]

    def take(self, page: Fetched) -> None:
        """Keep a page and the addresses it links to, unless it led away to another site.

        Raises:
            InputError: it is a start page and could not be read.
        """
        if page.outcome is not Outcome.KEPT:
            _report(page, is_start=page.url in self.starts)
        elif _is_html(page) and page.final_url not in self._read:
            if page.url in self.starts:  # a start page may have moved: from http to https, to www
                self._origins.add(origin_of(page.final_url))
            if origin_of(page.final_url) not in self._origins:
                log.info("page %s leads to another site: %s", page.url, page.final_url)
                return
            self._read.add(page.final_url)
            self.pages.append(Page(page.body, page.final_url, _charset(page.content_type)))
            self._follow(page)

    def _follow(self, page: Fetched) -> None:
        for link in links_of(page.body, page.final_url):
            if link not in self._seen and origin_of(link) in self._origins and _is_page(link):
                self._seen.add(link)
                self.frontier.append(link)


def _report(page: Fetched, *, is_start: bool) -> None:
    if is_start:
        raise InputError(
            f"the start page {page.url} cannot be read: {page.outcome} ({page.message}); "
            "is the site up, and may this host be asked?"
        )
    log.info("page %s: %s (%s)", page.url, page.outcome, page.message)


def _is_html(page: Fetched) -> bool:
    kind = page.content_type.partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") or (not kind and b"<" in page.body[:512])


def _charset(content_type: str) -> str:
    found = re.search(r"charset\s*=\s*[\"']?([\w-]+)", content_type, re.IGNORECASE)
    return found.group(1) if found else ""


def _is_page(url: str) -> bool:
    return Path(file_name_of(url)).suffix.lower() in PAGE_SUFFIXES
