"""The records of WARC and WAT files, and the pictures that lie in a WARC; the door to FastWARC."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from tasks.errors import InputError
from tasks.ingestion.fetching.fetched import Fetched, storable
from tasks.ingestion.fetching.policy import forbids, product_of, reserves
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.sources.charset import media_type_of
from tasks.ingestion.sources.payload import body_of
from tasks.ingestion.sources.places import UNREADABLE, one_line, open_bytes
from tasks.ingestion.sources.tail import check_tail
from tasks.rows import Outcome

# Kinds of records, as bits.
ANSWERS: int = WarcRecordType.response | WarcRecordType.resource
REVISITS: int = WarcRecordType.revisit
LINKS: int = WarcRecordType.metadata
ALL: int = WarcRecordType.any_type


def warc_body(path: str, offset: int, how: Ingestion | None = None) -> Fetched:
    """Return the image response that lies at an offset of a WARC, as if it had been fetched.

    Raises:
        InputError: the WARC is gone.
    """
    settings = how or Ingestion()
    try:
        with record_at(path, offset) as record:
            return _fetched(record, settings)
    except FileNotFoundError as error:
        raise InputError(
            f"the WARC {path}, in which planned pictures lie, is gone; put it back and run the "
            "same command again"
        ) from error
    except UNREADABLE as error:
        said = storable(f"no record at byte {offset} of {path}: {one_line(error)}")
        return Fetched("", Outcome.INCOMPLETE_BODY, message=said, may_pass=True)


@contextlib.contextmanager
def record_at(path: str, offset: int) -> Iterator[Any]:
    """Open the record that lies at an offset of a WARC.

    Raises:
        ValueError: there is none.
    """
    with open_bytes(path) as file:
        file.seek(offset)
        if (record := next(iter(ArchiveIterator(file)), None)) is None:
            raise ValueError("nothing lies there")
        yield record


def _fetched(record: Any, how: Ingestion) -> Fetched:
    answer = Answer(record)
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


class Answer:
    """What the headers of a response, a resource or a revisit say."""

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
        is_bare = record.record_type == REVISITS  # its own Content-Type is not the answer's
        headers = http if http is not None or is_bare else record.headers
        self.content_type = (headers and headers.get("Content-Type")) or ""

    @classmethod
    def of(cls, record: Any) -> "Answer | None":
        """Return what the headers of a record say, or None when it is of another kind.

        Raises:
            ValueError: it has none; the file is cut off there.
        """
        return cls(record) if record.record_type & (ANSWERS | REVISITS) else None

    @property
    def media_type(self) -> str:
        """Return the Content-Type without its parameters."""
        return media_type_of(self.content_type)

    def opts_out(self, how: Ingestion) -> bool:
        """True when its HTTP headers forbid this use."""
        if self._headers is None:
            return False
        return opted_out(
            self._headers.get_multiple("X-Robots-Tag"),
            self._headers.get_multiple("TDM-Reservation"),
            how,
        )

    def body_of(self, kept: bytes, limit: int) -> bytes:
        """Return its body out of what the archive keeps, at most `limit` bytes of it."""
        if self._headers is None:
            return kept[:limit]
        transfer = self._headers.get("Transfer-Encoding") or ""
        return body_of(kept, transfer, self._headers.get("Content-Encoding") or "", limit)


def opted_out(robots: Iterable[str], reservations: Iterable[str], how: Ingestion) -> bool:
    """True when the headers of an archived answer forbid this use, as far as settings obey them."""
    directives = frozenset(map(str.lower, how.disallowed_header_directives))
    return how.respect_opt_outs and (
        forbids(robots, directives, product_of(how.user_agent))
        or (how.respect_tdm_reservation and reserves(reservations))
    )


def records(path: str, *, kinds: int = ALL, is_http: bool = True) -> Iterator[Any]:
    """Yield the records of an archive; only a reading of all kinds sees whether it is whole.

    Raises:
        ValueError: the archive is cut off.
    """
    position: int | None = None
    with open_bytes(path) as file:
        wanted: Any = kinds  # plain bits, whatever the stubs say
        for record in ArchiveIterator(file, record_types=wanted, parse_http=is_http):
            position = record.stream_pos
            yield record
    if position is not None and kinds == ALL:
        check_tail(path, position)


def read_record(record: Any, limit: int) -> bytes:
    """Return the beginning of a record.

    Raises:
        ValueError: the archive is cut off within it.
    """
    kept: bytes = record.reader.read(limit)
    if len(kept) < min(record.content_length, limit):
        raise ValueError(f"the record at byte {record.stream_pos} is cut off")
    return kept
