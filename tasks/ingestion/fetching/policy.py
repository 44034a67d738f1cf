"""What a site asks of crawlers, read from headers before the body is."""

import re
from collections.abc import Collection, Iterable
from email.utils import parsedate_to_datetime

OPT_OUT_DIRECTIVES = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
# Directives that have a value behind a colon, as the name of an agent has directives behind it.
VALUED = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})
PARTS = re.compile("[,;]")  # a semicolon is wrong there, and clear
AGENT = re.compile(r"[a-z*][\w-]*")


def product_of(user_agent: str) -> str:
    """Return the name by which robots.txt and X-Robots-Tag may address a crawler."""
    return user_agent.partition("/")[0].strip()


def forbids(values: Iterable[str], directives: Collection[str], agent: str) -> bool:
    """True when X-Robots-Tag headers opt out of this use to everybody or to us.

    Reads `noai, otherbot: noindex, noml`: a name before a colon addresses what follows it.

    Args:
        values: of every X-Robots-Tag header, as they came.
        directives: what opts out, in lower case.
        agent: our product name, such as "caplift"; directives may be addressed to it.
    """
    return any(_forbids(value, directives, agent.lower()) for value in values)


def _forbids(value: str, directives: Collection[str], agent: str) -> bool:
    addressed = True
    for part in PARTS.split(value.lower()):
        name, colon, rest = (piece.strip() for piece in part.partition(":"))
        directive = name
        # The dates of unavailable_after have commas and colons too, and no agent's name in front.
        if colon and name not in VALUED and AGENT.fullmatch(name):
            addressed = name in ("*", agent)
            directive = rest
        if addressed and directive in directives:
            return True
    return False


def reserves(values: Iterable[str]) -> bool:
    """True when TDM-Reservation headers keep text and data mining to the rightsholder."""
    return any("1" in PARTS.split(value.replace(" ", "")) for value in values)


def retry_after_s(value: str, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, or None.

    Args:
        value: of the header; empty when there is none.
        now: seconds since the epoch, for headers that name a date (RFC 9110, section 10.2.3).
    """
    value = value.strip()
    if not value:
        return None
    if value.isdecimal() and len(value) < 10:
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None
