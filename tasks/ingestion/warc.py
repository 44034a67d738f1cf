"""Candidates out of WARC and WAT files, and the pictures that lie in a WARC; the door to FastWARC.

A WARC's pages give candidates as pages on disk do. Its image responses are the pictures: they are
planned with their place in the file and never asked for again. A WAT gives the links of pages whose
HTML is elsewhere, with their alt-texts.
"""

import functools
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from tasks.errors import InputError
from tasks.ingestion.candidates import MAX_PAGE_BYTES, Candidate, PageContent, read_page
from tasks.ingestion.charset import HTML_TYPES, charset_of, media_type_of
from tasks.ingestion.fetched import Fetched, storable
from tasks.ingestion.payload import body_of
from tasks.ingestion.places import (
    ARCHIVES,
    UNREADABLE,
    files_of,
    named,
    one_line,
    open_bytes,
    reading,
)
from tasks.ingestion.policy import forbids, product_of, reserves
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.tail import check_tail
from tasks.ingestion.wat import header_values, page_url_of, read_links
from tasks.rows import Outcome

log = logging.getLogger(__name__)

MAX_URL_CHARS = 8_000  # it is repeated in every candidate of the page
OPT_OUT_HEADERS = ("x-robots-tag", "tdm-reservation")
MAX_LINKS_BYTES = 64 << 20  # of the links of one page, as JSON


def archive_candidates(place: str, how: Ingestion) -> Iterator[Candidate]:
    """Yield the candidates of an archive, or of all archives of a folder or a pattern, in order.

    Raises:
        InputError: an archive is missing, damaged or cut off, or its images cannot be found again.
    """
    for path in files_of(place, ARCHIVES):
        read = _of_wat if "wat" in named(path).rsplit("/", 1)[-1].split(".") else _of_warc
        yield from reading("archive", path, functools.partial(read, how=how))


def warc_body(path: str, offset: int, how: Ingestion | None = None) -> Fetched:
    """Return the image response that lies at an offset of a WARC, as if it had been fetched.

    Raises:
        InputError: the WARC is gone.
    """
    settings = how or Ingestion()
    try:
        with open_bytes(path) as file:
            file.seek(offset)
            record = next(iter(ArchiveIterator(file)))
            return _fetched(record, settings)
    except FileNotFoundError as error:
        raise InputError(
            f"the WARC {path}, in which planned pictures lie, is gone; put it back and run the "
            "same command again"
        ) from error
    except (*UNREADABLE, StopIteration) as error:
        said = storable(f"no record at byte {offset} of {path}: {one_line(error)}")
        return Fetched("", Outcome.INCOMPLETE_BODY, message=said, may_pass=True)


def _fetched(record: Any, how: Ingestion) -> Fetched:
    answer = _Answer(record)
    seen = Fetched(
        answer.url,
        Outcome.KEPT,
        http_status=answer.status,
        final_url=answer.url,
        content_type=storable(answer.content_type),
    )
    if answer.opts_out(how):
        return replace(seen, outcome=Outcome.OPTED_OUT, message="a header opts out of this use")
    kept = record.reader.read(how.max_bytes + 1)
    body = answer.body_of(kept, how.max_bytes + 1)
    if len(kept) > how.max_bytes or len(body) > how.max_bytes:
        said = f"more than {how.max_bytes} bytes kept"
        return replace(seen, outcome=Outcome.TOO_LARGE, message=said)
    if len(kept) < record.content_length or answer.is_cut:
        said = "the archive keeps only its beginning"
        return replace(seen, outcome=Outcome.INCOMPLETE_BODY, message=said)
    if not body:
        return replace(seen, outcome=Outcome.EMPTY_BODY, message="the body is empty")
    return replace(seen, body=body)


class _Answer:
    """What the headers of a response or a resource say."""

    def __init__(self, record: Any) -> None:
        """Read the headers of a record.

        Raises:
            ValueError: the record has none; the file is cut off there.
        """
        target = record.headers.get("WARC-Target-URI")
        if target is None:
            raise ValueError(f"the record at byte {record.stream_pos} is cut off")
        self.url = target.strip().strip("<>")
        self.is_cut = "WARC-Truncated" in record.headers
        http = record.http_headers if record.is_http else None
        self._headers = http
        # A resource is what was read without HTTP, such as from a disk.
        self.status = 200 if http is None else http.status_code
        headers = record.headers if http is None else http
        self.content_type = headers.get("Content-Type") or ""

    @property
    def media_type(self) -> str:
        return media_type_of(self.content_type)

    def opts_out(self, how: Ingestion) -> bool:
        if self._headers is None:
            return False
        return opted_out(
            self._headers.get_multiple("X-Robots-Tag"),
            self._headers.get_multiple("TDM-Reservation"),
            how,
        )

    def body_of(self, kept: bytes, limit: int) -> bytes:
        if self._headers is None:
            return kept[:limit]
        transfer = self._headers.get("Transfer-Encoding") or ""
        return body_of(kept, transfer, self._headers.get("Content-Encoding") or "", limit)


def opted_out(robots: Iterable[str], reservations: Iterable[str], how: Ingestion) -> bool:
    """True when the headers of an archived answer forbid this use, as far as settings obey them."""
    directives = frozenset(map(str.lower, how.disallowed_header_directives))
    return (how.respect_opt_outs and forbids(robots, directives, product_of(how.user_agent))) or (
        how.respect_tdm_reservation and reserves(reservations)
    )


def _records(path: str, *, is_http: bool) -> Iterator[Any]:
    """Yield all records of an archive.

    Raises:
        ValueError: the archive is cut off.
    """
    position: int | None = None
    with open_bytes(path) as file:
        for record in ArchiveIterator(file, parse_http=is_http):
            position = record.stream_pos
            yield record
    if position is not None:
        check_tail(path, position)


def _of_warc(path: str, *, how: Ingestion) -> Iterator[Candidate]:
    at = path if "://" in path else str(Path(path).absolute())
    is_proven = False
    for record in _records(path, is_http=True):
        if record.record_type not in (WarcRecordType.response, WarcRecordType.resource):
            continue
        answer = _Answer(record)
        if answer.status != 200 or len(answer.url) > MAX_URL_CHARS:
            continue
        if answer.media_type in HTML_TYPES:
            yield from _of_page(record, answer, how)
        elif answer.media_type.startswith("image/"):
            if not is_proven:
                _prove(at, record.stream_pos, answer.url, how)
                is_proven = True
            yield Candidate(answer.url, "", "", body_path=at, body_offset=record.stream_pos)


def _of_page(record: Any, answer: _Answer, how: Ingestion) -> Iterator[Candidate]:
    html = answer.body_of(_read(record, MAX_PAGE_BYTES), MAX_PAGE_BYTES)
    page = read_page(html, answer.url, charset_of(answer.content_type))
    yield from _permitted(page, answer.url, answer.opts_out(how), how)


def _prove(path: str, offset: int, url: str, how: Ingestion) -> None:
    """Make sure that a record is found again at its offset.

    Raises:
        InputError: it is not, because the file is compressed in one piece.
    """
    if warc_body(path, offset, how).url != url:
        raise InputError(
            f"the images in {path} cannot be found again: it is compressed in one piece and not "
            f"record by record; `fastwarc recompress {path} NEW.warc.gz` makes one that is"
        )


def _of_wat(path: str, *, how: Ingestion) -> Iterator[Candidate]:
    for record in _records(path, is_http=False):
        if record.record_type != WarcRecordType.metadata:
            continue
        try:
            envelope = json.loads(_read(record, MAX_LINKS_BYTES))
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            log.warning("%s: the record at byte %d is no JSON", path, record.stream_pos)
            continue
        if len(url := page_url_of(envelope)) <= MAX_URL_CHARS:
            robots, reservations = (header_values(envelope, n) for n in OPT_OUT_HEADERS)
            is_opted_out = opted_out(robots, reservations, how)
            yield from _permitted(read_links(envelope, url), url, is_opted_out, how)


def _read(record: Any, limit: int) -> bytes:
    """Return the beginning of a record.

    Raises:
        ValueError: the archive is cut off within it.
    """
    kept: bytes = record.reader.read(limit)
    if len(kept) < min(record.content_length, limit):
        raise ValueError(f"the record at byte {record.stream_pos} is cut off")
    return kept


def _permitted(
    page: PageContent, url: str, is_opted_out: bool, how: Ingestion
) -> Iterator[Candidate]:
    if is_opted_out or page.is_closed(how):
        log.info("page %s forbids this use of what it shows", url)
    else:
        yield from page.candidates
