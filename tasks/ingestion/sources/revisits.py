"""Answers of a crawl found again by what its revisit records say of them, in bounded memory.

A revisit stands for an answer that was kept before: ISO 28500, section 6.7. It names that record,
its payload's digest, or its address and date, and any of the three will do.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks import rows
from tasks.ingestion.sources.spilling import Row, in_key_order

PAGE = "page"  # in place of an empty text for a picture


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer lies: its archive, its record's offset there, its address, and its kind."""

    path: str
    offset: int
    url: str
    is_page: bool


def names_of(headers: Any) -> list[str]:
    """Return what a revisit may call the record with these headers."""
    return _names(headers, "WARC-Record-ID", "WARC-Date", "WARC-Target-URI")


def named_by(headers: Any) -> list[str]:
    """Return what the revisit with these headers calls the record that it stands for."""
    return _names(headers, "WARC-Refers-To", "WARC-Refers-To-Date", "WARC-Refers-To-Target-URI")


def _names(headers: Any, record: str, date: str, url: str) -> list[str]:
    digest = headers.get("WARC-Payload-Digest")
    found = [f"payload {digest.strip().lower()}"] if digest else []
    if identity := headers.get(record):
        found.append(f"record {identity.strip().strip('<>')}")
    if (when := headers.get(date)) and (where := headers.get(url)):
        found.append(f"at {when.strip()} {where.strip().strip('<>')}")
    return found


def joined(
    answers: Iterable[tuple[list[str], Place]],
    revisits: Iterable[tuple[list[str], str]],
    folder: Path,
) -> Iterator[tuple[str, Place]]:
    """Yield the address of each revisit with the first answer that it stands for.

    A revisit comes once for each name by which its answer is found.

    Args:
        answers: names and place of each.
        revisits: names and address of each.
        folder: an empty one for what does not fit in memory.
    """
    told: Iterator[Row] = (
        (rows.key_of(name), place.path, str(place.offset), place.url, PAGE * place.is_page)
        for names, place in answers
        for name in names
    )
    asked: Iterator[Row] = ((rows.key_of(name), url) for names, url in revisits for name in names)
    # The answers of a name come before its revisits: rows of one key keep their order.
    in_order = in_key_order(itertools.chain(told, asked), folder)
    for _, of_one in itertools.groupby(in_order, key=lambda row: row[0]):
        found: Place | None = None
        for _, *about in of_one:
            if len(about) == 1 and found is not None:
                yield about[0], found
            elif len(about) > 1 and found is None:
                path, offset, url, kind = about
                found = Place(path, int(offset), url, kind == PAGE)
