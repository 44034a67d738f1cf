"""Candidates out of WARC and WAT files.

A WARC's pages give candidates as pages on disk do. Its image responses are the pictures: they are
planned with their place in the file and never asked for again. Its revisits stand for an earlier
answer: where that is in one of the archives too, it is used in their place, and where it is not,
what is known to be a picture is asked for at its address. A WAT gives the links of pages whose
HTML is elsewhere, with their alt-texts.
"""

import functools
import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tasks.errors import InputError
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.sources.candidates import MAX_PAGE_BYTES, Candidate, PageContent, read_page
from tasks.ingestion.sources.charset import HTML_TYPES, charset_of
from tasks.ingestion.sources.places import ARCHIVES, files_of, named, reading
from tasks.ingestion.sources.revisits import Place, joined, named_by, names_of
from tasks.ingestion.sources.urls import file_name_of
from tasks.ingestion.sources.warc import (
    ANSWERS,
    LINKS,
    REVISITS,
    Answer,
    opted_out,
    read_record,
    record_at,
    records,
    warc_body,
)
from tasks.ingestion.sources.wat import header_values, page_url_of, read_links

log = logging.getLogger(__name__)

MAX_URL_CHARS = 8_000  # it is repeated in every candidate of the page
OPT_OUT_HEADERS = ("x-robots-tag", "tdm-reservation")
MAX_LINKS_BYTES = 64 << 20  # of the links of one page, as JSON
# By its name a revisit is known to be of a picture that keeps no headers.
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".bmp", ".tif", ".tiff")


def archive_candidates(places: Sequence[str], how: Ingestion) -> Iterator[Candidate]:
    """Yield the candidates of archives, or of all archives of folders or patterns, in order.

    Raises:
        InputError: an archive is missing, damaged or cut off, or its images cannot be found again.
    """
    warcs: list[str] = []
    revisited: list[str] = []
    for path in (path for place in places for path in files_of(place, ARCHIVES)):
        if "wat" in named(path).rsplit("/", 1)[-1].split("."):
            yield from reading("archive", path, functools.partial(_of_wat, how=how))
        else:
            warcs.append(path)
            read = functools.partial(_of_warc, how=how, revisited=revisited)
            yield from reading("archive", path, read)
    if revisited:
        log.info("%d of %d archives have revisits", len(revisited), len(warcs))
        with tempfile.TemporaryDirectory() as folder:
            found = joined(_answers(warcs), _revisits(revisited, how), Path(folder))
            for url, place in found:
                if url != place.url:
                    yield from _again(url, place, how)


def _of_warc(path: str, *, how: Ingestion, revisited: list[str]) -> Iterator[Candidate]:
    """Yield the candidates of one WARC; one that has revisits is added to `revisited`."""
    is_proven = False
    for record in records(path):
        answer = Answer.of(record)
        if answer is None or len(answer.url) > MAX_URL_CHARS:
            continue
        if record.record_type == REVISITS:
            if path not in revisited[-1:]:
                revisited.append(path)
            yield from _of_revisit(answer, how)
        elif answer.status == 200 and answer.media_type in HTML_TYPES:
            yield from _of_page(record, answer, answer.url, how)
        elif answer.status == 200 and answer.media_type.startswith("image/"):
            if not is_proven:
                _prove(_absolute(path), record.stream_pos, answer.url, how)
                is_proven = True
            offset = record.stream_pos
            yield Candidate(answer.url, "", "", body_path=_absolute(path), body_offset=offset)


def _of_revisit(answer: Answer, how: Ingestion) -> Iterator[Candidate]:
    """Yield a picture to be fetched, in case what it stands for lies in none of the archives."""
    if _is_of_picture(answer) and not answer.opts_out(how):
        yield Candidate(answer.url, "", "")


def _answers(paths: list[str]) -> Iterator[tuple[list[str], Place]]:
    """Yield the pages and pictures of archives with what revisits may call them."""
    for path in paths:
        for record in records(path, kinds=ANSWERS):
            answer = Answer.of(record)
            if answer is None or answer.status != 200:
                continue
            is_page = answer.media_type in HTML_TYPES
            if is_page or answer.media_type.startswith("image/"):
                place = Place(_absolute(path), record.stream_pos, answer.url, is_page)
                yield names_of(record.headers), place


def _revisits(paths: list[str], how: Ingestion) -> Iterator[tuple[list[str], str]]:
    """Yield the addresses of revisits with what they call the answers they stand for."""
    for path in paths:
        for record in records(path, kinds=REVISITS):
            answer = Answer.of(record)
            if answer and len(answer.url) <= MAX_URL_CHARS and not answer.opts_out(how):
                yield named_by(record.headers), answer.url


def _again(url: str, place: Place, how: Ingestion) -> Iterator[Candidate]:
    """Yield what an answer gives under the address of a revisit."""
    if not place.is_page:
        yield Candidate(url, "", "", body_path=place.path, body_offset=place.offset)
        return
    with record_at(place.path, place.offset) as record:
        answer = Answer.of(record)
        if answer is None or answer.url != place.url:
            raise _not_found_again(place.path)
        yield from _of_page(record, answer, url, how)


def _is_of_picture(answer: Answer) -> bool:
    """True when a revisit says so by its headers, or by its name if it has none."""
    if answer.content_type:
        return answer.media_type.startswith("image/") and answer.status in (200, 304)
    return file_name_of(answer.url).lower().endswith(PICTURE_SUFFIXES)


def _absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())


def _of_page(record: Any, answer: Answer, url: str, how: Ingestion) -> Iterator[Candidate]:
    html = answer.body_of(read_record(record, MAX_PAGE_BYTES), MAX_PAGE_BYTES)
    page = read_page(html, url, charset_of(answer.content_type))
    yield from _permitted(page, url, answer.opts_out(how), how)


def _prove(path: str, offset: int, url: str, how: Ingestion) -> None:
    """Make sure that a record is found again at its offset.

    Raises:
        InputError: it is not, because the file is compressed in one piece.
    """
    if warc_body(path, offset, how).url != url:
        raise _not_found_again(path)


def _not_found_again(path: str) -> InputError:
    return InputError(
        f"the images in {path} cannot be found again: it is compressed in one piece and not "
        f"record by record; `fastwarc recompress {path} NEW.warc.gz` makes one that is"
    )


def _of_wat(path: str, *, how: Ingestion) -> Iterator[Candidate]:
    for record in records(path, is_http=False):
        if record.record_type != LINKS:
            continue
        try:
            envelope = json.loads(read_record(record, MAX_LINKS_BYTES))
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            log.warning("%s: the record at byte %d is no JSON", path, record.stream_pos)
            continue
        if len(url := page_url_of(envelope)) <= MAX_URL_CHARS:
            robots, reservations = (header_values(envelope, n) for n in OPT_OUT_HEADERS)
            is_opted_out = opted_out(robots, reservations, how)
            yield from _permitted(read_links(envelope, url), url, is_opted_out, how)


def _permitted(
    page: PageContent, url: str, is_opted_out: bool, how: Ingestion
) -> Iterator[Candidate]:
    if is_opted_out or page.is_closed(how):
        log.info("page %s forbids this use of what it shows", url)
    else:
        yield from page.candidates
