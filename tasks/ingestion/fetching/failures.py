"""What a failed request is called, and whether another try may end otherwise."""

import random
import socket
import ssl

import aiohttp

from tasks.ingestion.fetching.fetched import Fetched, storable
from tasks.ingestion.fetching.guard import BlockedAddressError
from tasks.ingestion.fetching.hosts import LONGEST_WAIT_S
from tasks.rows import Outcome

# 520 to 524: what Cloudflare says when a site behind it does not answer.
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 525)})
PASSING = frozenset(
    {
        Outcome.CONNECT,
        Outcome.CONNECTION_RESET,
        Outcome.PROTOCOL,
        Outcome.INCOMPLETE_BODY,
        Outcome.DNS,
    }
)
FIRST_BACKOFF_S = 0.25
NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

Kinds = type[Exception] | tuple[type[Exception], ...]
OUTCOMES: tuple[tuple[Kinds, Outcome], ...] = (  # the first that fits
    (TimeoutError, Outcome.TIMEOUT),
    ((aiohttp.ClientConnectorDNSError, socket.gaierror), Outcome.DNS),
    ((aiohttp.ClientSSLError, ssl.SSLError), Outcome.TLS),
    (aiohttp.ClientConnectorError, Outcome.CONNECT),
    (aiohttp.ClientPayloadError, Outcome.INCOMPLETE_BODY),
    (aiohttp.InvalidURL, Outcome.BAD_URL),
    (aiohttp.ServerDisconnectedError, Outcome.PROTOCOL),
    ((ConnectionResetError, aiohttp.ClientOSError), Outcome.CONNECTION_RESET),
    (OSError, Outcome.CONNECT),
)


class RefusedError(Exception):
    """A request that ends here, and as what."""

    def __init__(self, fetched: Fetched) -> None:
        super().__init__(fetched.message)
        self.fetched = fetched


def may_pass(error: Exception) -> bool:
    """True when another try may end otherwise than with this exception."""
    reason = _os_error(error)
    is_no_name = isinstance(reason, socket.gaierror) and reason.errno in NO_SUCH_NAME
    return outcome_of(error) in PASSING and not is_no_name


def said_of(error: Exception) -> str:
    """Return a line on what the client raised, without the status 400 it makes up for itself."""
    said = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return storable(f"{type(error).__name__}: {said}")


def outcome_of(error: Exception) -> Outcome:
    """Name a client's exception; by type, never by its text."""
    reason = _os_error(error)
    if isinstance(reason, BlockedAddressError):
        return Outcome.SSRF_BLOCKED
    return next((o for kind, o in OUTCOMES if isinstance(error, kind)), Outcome.PROTOCOL)


def pause_s(fetched: Fetched, attempt: int) -> float | None:
    """Return how long to wait before the next try, or None when there shall be none."""
    if not fetched.may_pass or (fetched.retry_after_s or 0.0) > LONGEST_WAIT_S:
        return None
    # Jitter: without it, all who failed together come back together.
    backoff_s = FIRST_BACKOFF_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
    return max(fetched.retry_after_s or 0.0, backoff_s)


def _os_error(error: Exception) -> Exception:
    return getattr(error, "os_error", error)
