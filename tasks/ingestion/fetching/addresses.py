"""An address in its one spelling, taken apart once for all who ask about it."""

import functools
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tasks.ingestion.sources.urls import DEFAULT_PORTS, BadUrlError, normalise
from tasks.rows import Outcome

# What `normalise` would leave as it is: most of a plan, at a tenth of the price.
NORMAL = re.compile(
    r"(?P<origin>(?P<scheme>https?)://(?P<host>(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63})"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?)"
    r"(?P<target>(?:/(?!\.)[A-Za-z0-9:@!$&'()*+,;=~._%\[\]-]*)+(?:\?[A-Za-z0-9/:@!$&'()*+,;=~._?%\[\]-]+)?)"
)


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
    if found := NORMAL.fullmatch(url):
        port = int(found["port"] or 1)
        if port <= 65535 and port != DEFAULT_PORTS[found["scheme"]]:
            return Address(url, found["host"], found["origin"], found["target"])
    normalised = normalise(url)
    parts = urlsplit(normalised)
    origin = f"{parts.scheme}://{parts.netloc}"
    return Address(normalised, parts.hostname or "", origin, normalised[len(origin) :])


def scheme_outcome(error: BadUrlError) -> Outcome:
    """Return what a URL ends with that cannot be asked."""
    is_other = error.scheme not in ("", "http", "https")
    return Outcome.BAD_SCHEME if is_other else Outcome.BAD_URL
