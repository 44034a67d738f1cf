"""One spelling for every URL, because keys are hashes of it."""

import posixpath
import re
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from tasks.errors import InputError

DEFAULT_PORTS = {"http": 80, "https": 443}
# What may stand in a path or query unescaped (RFC 3986, section 3.3), and % of escapes there are.
UNESCAPED = "/:@!$&'()*+,;=~-._?%[]"
# What most addresses are already, and what taking them apart and putting them together would give.
SPELLED = re.compile(
    # No possessive quantifiers: those of Python 3.11.2 match what they should not. Each part begins
    # with what the one before cannot hold, so there is one way to match and no backtracking.
    r"https?://(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}"
    r"(?:/(?!\.)[\w:@!$&'()*+,;=~.%\[\]-]*)+(?:\?[\w/?:@!$&'()*+,;=~.%\[\]-]+)?",
    re.ASCII,
)

PATH = re.compile(r"[^?#]*")
OTHER_SCHEME = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class BadUrlError(InputError):
    """The text is no absolute URL; `scheme` is what it begins with, if anything."""

    def __init__(self, url: str, scheme: str = "") -> None:
        super().__init__(f"{url!r:.200} is not an absolute http or https URL")
        self.scheme = scheme


def normalise(url: str) -> str:
    """Return the one spelling of an http or https URL that its key is made of.

    White space around it goes, spaces and non-ASCII inside are percent-encoded, backslashes in the
    path lean forward, scheme and host are lower case, default ports, dot segments and fragments go.

    Raises:
        BadUrlError: it is not absolute, has no host, or has another scheme.
    """
    return url if SPELLED.fullmatch(url) else _put_together(url)


def _put_together(url: str) -> str:
    try:
        parts = urlsplit(forward_slashed(url.strip()))
        port = parts.port
    except ValueError as error:
        raise BadUrlError(url) from error
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not parts.hostname:
        raise BadUrlError(url, scheme)
    host = _ascii_host(url, parts.hostname)
    netloc = host if port in (None, DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    path = _resolved(_quoted(url, parts.path or "/"))
    return urlunsplit((scheme, netloc, path, _quoted(url, parts.query), ""))


def forward_slashed(address: str) -> str:
    r"""Return an address whose path has / for \, as browsers read it (URL standard, 4.4).

    Addresses of other schemes keep theirs.
    """
    if "\\" not in address or OTHER_SCHEME.match(address):
        return address
    path = PATH.match(address)
    assert path is not None
    return path[0].replace("\\", "/") + address[path.end() :]


def origin_of(url: str) -> str:
    """Return scheme and authority of a normalised URL, such as `http://a.org:81`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def host_of(url: str) -> str:
    """Return the host of a URL, or an empty text."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def file_name_of(url: str) -> str:
    """Return the last part of the path, unescaped."""
    return posixpath.basename(unquote(urlsplit(url).path))


def _ascii_host(url: str, host: str) -> str:
    try:
        ascii_host = host.lower().rstrip(".").encode("idna").decode()
    except UnicodeError as error:
        raise BadUrlError(url) from error
    if not ascii_host or any(c.isspace() for c in ascii_host):
        raise BadUrlError(url)
    return f"[{ascii_host}]" if ":" in ascii_host else ascii_host


def _quoted(url: str, part: str) -> str:
    try:
        # surrogateescape: bytes of a header that were no UTF-8 are escaped as the bytes they were.
        return quote(part, safe=UNESCAPED, errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise BadUrlError(url) from error


def _resolved(path: str) -> str:
    if "/." not in path:
        return path
    resolved: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if len(resolved) > 1:
                resolved.pop()
        elif part != ".":
            resolved.append(part)
    if path.endswith(("/.", "/..")):
        resolved.append("")
    return "/".join(resolved) or "/"
