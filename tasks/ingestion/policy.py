"""What a site asks of crawlers, read from headers before the body is."""

from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime

OPT_OUT_DIRECTIVES = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})


def opted_out(headers: Iterable[tuple[str, str]], agent: str) -> bool:
    """True when X-Robots-Tag or TDM-Reservation forbids this use to everybody or to us.

    Args:
        headers: names and values as they came, repeated names apart.
        agent: our product name, such as "caplift"; directives may be addressed to it.
    """
    for name, value in headers:
        lowered = name.lower()
        if lowered == "x-robots-tag" and _forbids(value, agent):
            return True
        if lowered == "tdm-reservation" and value.strip() == "1":
            return True
    return False


def _forbids(value: str, agent: str) -> bool:
    """Read `noai, otherbot: noindex, noml`: a name before a colon addresses what follows it."""
    addressed = True
    for part in value.lower().split(","):
        name, colon, rest = part.partition(":")
        directive = part
        if colon and name.strip() not in ("max-snippet", "max-image-preview", "unavailable_after"):
            addressed = name.strip() in ("*", agent.lower())
            directive = rest
        if addressed and directive.strip() in OPT_OUT_DIRECTIVES:
            return True
    return False


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, or None.

    Args:
        headers: of an answer.
        now: seconds since the epoch, for headers that name a date (RFC 9110, section 10.2.3).
    """
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal() and len(value) < 10:
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - now, 0.0)
    except ValueError:
        return None
