"""An address in its one spelling, taken apart once for all who ask about it."""

import functools
from dataclasses import dataclass
from urllib.parse import urlsplit

from tasks.ingestion.fetched import Fetched, storable
from tasks.ingestion.urls import BadUrlError, normalise
from tasks.rows import Outcome


@dataclass(frozen=True, slots=True)
class Address:
    """A normalised URL and its parts.

    Attributes:
        url: all of it.
        host: name or address, without brackets.
        origin: scheme and authority, such as `http://a.org:81`.
        target: path and query.
    """

    url: str
    host: str
    origin: str
    target: str


@functools.lru_cache(maxsize=4096)  # a turn, its request and its further tries ask for the same
def address_of(url: str) -> Address:
    """Take an http or https URL apart.

    Raises:
        BadUrlError: it is none.
    """
    normalised = normalise(url)
    parts = urlsplit(normalised)
    origin = f"{parts.scheme}://{parts.netloc}"
    return Address(normalised, parts.hostname or "", origin, normalised[len(origin) :])


def bad_address(url: str, error: BadUrlError) -> Fetched:
    """Return what a URL ends with that cannot be asked."""
    is_other = error.scheme not in ("", "http", "https")
    outcome = Outcome.BAD_SCHEME if is_other else Outcome.BAD_URL
    return Fetched(url, outcome, message=storable(str(error)), attempts=0)
