"""Pages of a source: a site crawled politely from its start pages, or HTML files on any store."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from tasks.errors import InputError
from tasks.ingestion.fetching.fetch import Fetcher
from tasks.ingestion.fetching.fetched import Fetched
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources.candidates import MAX_PAGE_BYTES, Candidate, PageContent, read_page
from tasks.ingestion.sources.charset import HTML_TYPES, charset_of, media_type_of
from tasks.ingestion.sources.places import PAGES, files_of, open_bytes, reading
from tasks.ingestion.sources.urls import BadUrlError, file_name_of, normalise, origin_of
from tasks.rows import Outcome

log = logging.getLogger(__name__)

PAGE_SUFFIXES = ("", ".html", ".htm", ".xhtml", ".php", ".asp", ".aspx")
PAGES_AT_ONCE = 16
MAX_FETCHED = 8 << 20  # bytes of a page, of which no more than MAX_PAGE_BYTES are read
MAX_KNOWN = 200_000  # addresses of a site; a calendar names new ones for ever


def page_candidates(source: Source, how: Ingestion) -> Iterator[Candidate]:
    """Yield the candidates of a source's pages, page by page in the order they were reached.

    Raises:
        InputError: a start page cannot be read, or no page shows a picture.
    """
    addresses = [page for page in source.pages if page.startswith(("http://", "https://"))]
    files = [page for page in source.pages if page not in addresses]
    count = closed = 0
    for page in chain(_read_files(files), _crawled(addresses, source.max_pages, how)):
        if page.is_closed(how):
            closed += 1
            continue
        count += len(page.candidates)
        yield from page.candidates
    if closed:
        log.info("%d pages forbid this use of what they show (meta robots)", closed)
    if source.pages and not count:
        raise InputError(
            f"the pages of batch {source.batch!r} show no picture that may be used "
            f"({', '.join(source.pages)[:200]})"
            "; are they galleries or articles, and is what they show in their HTML?"
        )


def _read_files(places: list[str]) -> Iterator[PageContent]:
    for file in chain.from_iterable(files_of(place, PAGES) for place in places):
        url = file if "://" in file else Path(file).absolute().as_uri()
        yield from (read_page(html, url) for html in reading("page", file, _beginning))


def _beginning(file: str) -> Iterator[bytes]:
    with open_bytes(file) as opened:
        yield opened.read(MAX_PAGE_BYTES + 1)


def _crawled(starts: list[str], max_pages: int, how: Ingestion) -> Iterator[PageContent]:
    """Read pages breadth first, in rounds, on the start pages' own origins only."""
    if not starts:
        return
    try:
        crawl = _Crawl([normalise(start) for start in starts])
    except BadUrlError as error:
        raise InputError(f"a start page is no address: {error}") from error
    # The loop stands still between rounds, so no more than one round of pages is in memory.
    with asyncio.Runner() as runner:
        fetcher = Fetcher(replace(how, max_bytes=min(how.max_bytes, MAX_FETCHED)))
        runner.run(fetcher.__aenter__())
        try:
            while crawl.frontier and crawl.count < max_pages:
                some = crawl.next_round(max_pages - crawl.count)
                for fetched in runner.run(_all_read(fetcher, some)):
                    if (page := crawl.taken(fetched)) is not None:
                        yield page
        finally:
            runner.run(fetcher.__aexit__(None, None, None))
    if crawl.frontier:
        log.warning("stopped after %d pages; %d more are known", max_pages, len(crawl.frontier))
    log.info("read %d pages", crawl.count)


async def _all_read(fetcher: Fetcher, urls: list[str]) -> list[Fetched]:
    return await asyncio.gather(*(_read(fetcher, url) for url in urls))


async def _read(fetcher: Fetcher, url: str) -> Fetched:
    async with fetcher.turn(url):
        return await fetcher.get(url)


class _Crawl:
    """What is known of a site while it is read: pages, and addresses still to ask."""

    def __init__(self, starts: list[str]) -> None:
        self.starts = frozenset(starts)
        self.frontier = deque(dict.fromkeys(starts))
        self.count = 0
        self._origins = {origin_of(url) for url in starts}
        self._seen = set(starts)
        self._read: set[str] = set()

    def next_round(self, room: int) -> list[str]:
        count = min(PAGES_AT_ONCE, room, len(self.frontier))
        return [self.frontier.popleft() for _ in range(count)]

    def taken(self, page: Fetched) -> PageContent | None:
        """Return what a page gives, unless it led away to another site; note where it leads.

        Raises:
            InputError: it is a start page and could not be read.
        """
        if page.outcome is not Outcome.KEPT:
            _report(page, is_start=page.url in self.starts)
            return None
        if not _is_html(page) or page.final_url in self._read:
            return None
        if page.url in self.starts:  # a start page may have moved: from http to https, to www
            self._origins.add(origin_of(page.final_url))
        if origin_of(page.final_url) not in self._origins:
            log.info("page %s leads to another site: %s", page.url, page.final_url)
            return None
        self._read.add(page.final_url)
        self.count += 1
        content = read_page(page.body, page.final_url, charset_of(page.content_type))
        self._follow(content)
        return content

    def _follow(self, content: PageContent) -> None:
        for link in content.links():
            if len(self._seen) >= MAX_KNOWN:
                return
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
    kind = media_type_of(page.content_type)
    return kind in HTML_TYPES or (not kind and b"<" in page.body[:512])


def _is_page(url: str) -> bool:
    return Path(file_name_of(url)).suffix.lower() in PAGE_SUFFIXES
