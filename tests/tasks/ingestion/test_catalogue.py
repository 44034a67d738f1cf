"""Every way a server can fail has its outcome, all at once and beside servers that do not.

The first table is the fetching half of the catalogue of failures that other downloaders were seen
to hang on, to store as pictures, or to lose; the second adds what an attacker or a tired
administrator may do besides.
"""

import gzip
import zlib

import brotli

from tasks.rows import Outcome
from tests.fetching import BODY, fetched, fetched_together, quick
from tests.web import Answer, unused_port, web

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
NEVER_S = 600.0
SIZE = str(len(BODY)).encode()
REDIRECT = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "

Cases = dict[str, tuple[Answer, Outcome, int | None]]


def lengths(*values: bytes) -> Answer:
    """The body under one Content-Length header for each value."""
    fields = b"".join(b"Content-Length: " + value + b"\r\n" for value in values)
    return Answer(raw=HEAD + fields + b"\r\n" + BODY)


def leads(to: str) -> Answer:
    return Answer(status=302, headers={"Location": to})


def packed(body: bytes, encoding: str) -> Answer:
    return Answer(body=body, headers={"Content-Encoding": encoding})


LISTED: Cases = {
    "drip": (Answer(body=BODY * 9, drip_s=0.5), Outcome.TIMEOUT, 200),
    "endless-chunked": (
        Answer(raw=CHUNKED, endless=b"400\r\n" + b"x" * 1024 + b"\r\n"),
        Outcome.TOO_LARGE,
        200,
    ),
    "big": (Answer(raw=HEAD + b"Content-Length: 629145600\r\n\r\n"), Outcome.TOO_LARGE, 200),
    "404": (Answer(status=404), Outcome.HTTP_ERROR, 404),
    "403": (Answer(status=403), Outcome.HTTP_ERROR, 403),
    "410": (Answer(status=410), Outcome.HTTP_ERROR, 410),
    "429": (Answer(status=429, headers={"Retry-After": "1"}), Outcome.HTTP_ERROR, 429),
    "429-then-200": (
        Answer(body=BODY, first=(429,), headers={"Retry-After": "1"}),
        Outcome.KEPT,
        200,
    ),
    "500": (Answer(status=500), Outcome.HTTP_ERROR, 500),
    "503": (Answer(status=503), Outcome.HTTP_ERROR, 503),
    "204": (Answer(status=204), Outcome.EMPTY_BODY, 204),
    "flaky-503-x2": (Answer(body=BODY, first=(503, 503)), Outcome.KEPT, 200),
    "redirect-301": (
        Answer(status=301, headers={"Location": "/no-content-length"}),
        Outcome.KEPT,
        200,
    ),
    "redirect-302": (leads("/no-content-length"), Outcome.KEPT, 200),
    "redirect-308": (
        Answer(status=308, headers={"Location": "no-content-length"}),
        Outcome.KEPT,
        200,
    ),
    "redirect-loop": (leads("/redirect-loop"), Outcome.TOO_MANY_REDIRECTS, 302),
    "redirect-to-private": (leads("http://127.0.0.99/latest"), Outcome.SSRF_BLOCKED, 302),
    "hang-no-response": (Answer(raw=b"", endless=b"H", drip_s=NEVER_S), Outcome.TIMEOUT, None),
    "hang-body": (Answer(raw=HEAD + b"\r\n", endless=b"x", drip_s=NEVER_S), Outcome.TIMEOUT, 200),
    "cl-short": (Answer(body=BODY[:9], promised=len(BODY)), Outcome.INCOMPLETE_BODY, 200),
    "reset": (Answer(is_reset=True), Outcome.CONNECTION_RESET, None),
    "early-close": (Answer(raw=b""), Outcome.PROTOCOL, None),
    "no-content-length": (Answer(raw=HEAD + b"\r\n" + BODY), Outcome.KEPT, 200),
    "x-robots-noai": (Answer(body=BODY, headers={"X-Robots-Tag": "noai"}), Outcome.OPTED_OUT, 200),
    "x-robots-noml": (Answer(body=BODY, headers={"X-Robots-Tag": "noml"}), Outcome.OPTED_OUT, 200),
    "tdm": (Answer(body=BODY, headers={"TDM-Reservation": "1"}), Outcome.OPTED_OUT, 200),
    "closed/x": (Answer(body=BODY), Outcome.ROBOTS_TXT, None),
    "zero-bytes": (Answer(), Outcome.EMPTY_BODY, 200),
    "url space.jpg": (Answer(body=BODY), Outcome.KEPT, 200),
    "url-fragment#x": (Answer(body=BODY), Outcome.KEPT, 200),
    "url-trailing-ws ": (Answer(body=BODY), Outcome.KEPT, 200),
}  # fmt: skip

LENGTHS: Cases = {
    "cl-negative": (lengths(b"-1"), Outcome.PROTOCOL, None),
    "cl-twice-different": (lengths(SIZE, b"3"), Outcome.PROTOCOL, None),
    "cl-list": (lengths(SIZE + b", 3"), Outcome.PROTOCOL, None),
    "cl-a-word": (lengths(b"many"), Outcome.PROTOCOL, None),
    "cl-signed": (lengths(b"+" + SIZE), Outcome.PROTOCOL, None),
    "cl-of-thirty-digits": (lengths(b"9" * 30), Outcome.PROTOCOL, None),
    "chunk-negative": (Answer(raw=CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n"), Outcome.PROTOCOL, 200),
    "chunk-of-80-bits": (Answer(raw=CHUNKED + b"F" * 20 + b"\r\nabc"), Outcome.PROTOCOL, 200),
    "chunk-cut": (Answer(raw=CHUNKED + b"3\r\nabc\r\n"), Outcome.INCOMPLETE_BODY, 200),
    "chunks-none": (Answer(raw=CHUNKED + b"0\r\n\r\n"), Outcome.EMPTY_BODY, 200),
    "chunk-extension-endless": (
        Answer(raw=CHUNKED + b"3;", endless=b"x" * 1024, drip_s=0.01),
        Outcome.TIMEOUT,
        200,
    ),
    "chunk-trailers-endless": (
        Answer(raw=CHUNKED + b"3\r\nabc\r\n0\r\n", endless=b"X-A: b\r\n"),
        Outcome.PROTOCOL,
        200,
    ),
    "gzip": (packed(gzip.compress(BODY), "gzip"), Outcome.KEPT, 200),
    "gzip-bomb": (packed(gzip.compress(bytes(1 << 25)), "gzip"), Outcome.TOO_LARGE, 200),
    "deflate-bomb": (packed(zlib.compress(bytes(1 << 25)), "deflate"), Outcome.TOO_LARGE, 200),
    "brotli-bomb": (packed(brotli.compress(bytes(1 << 25)), "br"), Outcome.TOO_LARGE, 200),
    "gzip-that-is-none": (packed(BODY, "gzip"), Outcome.INCOMPLETE_BODY, 200),
}

ANSWERS: Cases = {
    "no-status-line": (Answer(raw=BODY), Outcome.PROTOCOL, None),
    "another-protocol": (Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Outcome.PROTOCOL, None),
    "status-abc": (Answer(raw=b"HTTP/1.1 abc OK\r\n\r\n"), Outcome.PROTOCOL, None),
    "status-99999": (Answer(raw=b"HTTP/1.1 99999 OK\r\n\r\n"), Outcome.PROTOCOL, None),
    "status-999": (Answer(status=999), Outcome.HTTP_ERROR, 999),
    "203": (Answer(status=203, body=BODY), Outcome.KEPT, 203),
    "205": (Answer(status=205), Outcome.EMPTY_BODY, 205),
    "206": (Answer(status=206, body=BODY), Outcome.HTTP_ERROR, 206),
    "300": (Answer(status=300, body=BODY), Outcome.HTTP_ERROR, 300),
    "304": (Answer(status=304), Outcome.HTTP_ERROR, 304),
    "401": (Answer(status=401, body=b"who?"), Outcome.HTTP_ERROR, 401),
    "451": (Answer(status=451), Outcome.HTTP_ERROR, 451),
    "http-1.0": (Answer(raw=b"HTTP/1.0 200 OK\r\n\r\n" + BODY), Outcome.KEPT, 200),
    "early-hints": (
        Answer(raw=b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HEAD + b"\r\n" + BODY),
        Outcome.KEPT,
        200,
    ),
    "continue-endless": (
        Answer(raw=b"", endless=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        Outcome.PROTOCOL,
        None,
    ),
    "headers-endless": (Answer(raw=HEAD, endless=b"X-A: b\r\n"), Outcome.PROTOCOL, None),
    "headers-drip": (Answer(raw=HEAD, endless=b"X", drip_s=0.05), Outcome.TIMEOUT, None),
    "header-endless": (Answer(raw=HEAD + b"X: ", endless=b"x" * 1024), Outcome.PROTOCOL, None),
    "header-with-nul": (Answer(raw=HEAD + b"X: a\0b\r\n\r\n" + BODY), Outcome.PROTOCOL, None),
    "header-without-colon": (Answer(raw=HEAD + b"colon\r\n\r\n" + BODY), Outcome.PROTOCOL, None),
    "header-no-utf8": (Answer(raw=HEAD + b"X: \xff\r\n\r\n" + BODY), Outcome.KEPT, 200),
    "lines-without-cr": (Answer(raw=b"HTTP/1.1 200 OK\n\n" + BODY), Outcome.KEPT, 200),
    "nowhere": (Answer(status=302), Outcome.PROTOCOL, 302),
    "to-nothing": (leads(""), Outcome.PROTOCOL, 302),
    "to-a-file": (leads("file:///etc/passwd"), Outcome.BAD_SCHEME, 302),
    "to-a-script": (leads("javascript:alert(1)"), Outcome.BAD_SCHEME, 302),
    "to-data": (leads("data:image/gif;base64,R0lGODlhAQABAAAAACw="), Outcome.BAD_SCHEME, 302),
    "to-ftp": (leads("ftp://127.0.0.1/x"), Outcome.BAD_SCHEME, 302),
    "to-no-host": (leads("https:///x"), Outcome.BAD_URL, 302),
    "to-half-an-address": (leads("http://[::1/x"), Outcome.BAD_URL, 302),
    "to-port-99999": (leads("http://a.org:99999/x"), Outcome.BAD_URL, 302),
    "to-a-space": (leads("/url space.jpg"), Outcome.KEPT, 200),
    "to-no-utf8": (Answer(raw=REDIRECT + b"/\xff\r\n\r\n"), Outcome.KEPT, 200),
    "to-six": (leads("/hop-1"), Outcome.TOO_MANY_REDIRECTS, 302),
    "hop-1": (leads("/hop-2"), Outcome.KEPT, 200),
    "hop-2": (leads("hop-3"), Outcome.KEPT, 200),
    "hop-3": (leads("./hop-4"), Outcome.KEPT, 200),
    "hop-4": (leads("?hop=5"), Outcome.KEPT, 200),
    "to-and": (leads("/fro"), Outcome.TOO_MANY_REDIRECTS, 302),
    "fro": (leads("/to-and"), Outcome.TOO_MANY_REDIRECTS, 302),
}
HIDDEN = {
    "/url%20space.jpg": Answer(body=BODY),
    "/url-fragment": Answer(body=BODY),
    "/url-trailing-ws": Answer(body=BODY),
    "/%FF": Answer(body=BODY),
    "/hop-4?hop=5": leads("/early-hints"),
    "/robots.txt": Answer(body=b"User-agent: *\nDisallow: /closed/"),
}


def outcomes(cases: Cases) -> dict[str, tuple[Outcome, int | None]]:
    """Fetch all cases of a table at once from one site."""
    answers = {f"/{path}": answer for path, (answer, _, _) in cases.items()}
    with web(answers | HIDDEN) as site:
        how = quick(timeout_s=2.0, retries=2, per_host_concurrency=16)
        found = fetched_together([f"{site.url}/{path}" for path in cases], how)
    for one in found:
        assert (one.body == BODY) is (one.outcome is Outcome.KEPT), one
        assert bool(one.message) is (one.outcome is not Outcome.KEPT), one
        assert "\n" not in one.message
    return dict(zip(cases, [(one.outcome, one.http_status) for one in found], strict=True))


def expected(cases: Cases) -> dict[str, tuple[Outcome, int | None]]:
    return {path: (outcome, status) for path, (_, outcome, status) in cases.items()}


def test_the_catalogue_of_failures_has_its_outcomes() -> None:
    assert outcomes(LISTED) == expected(LISTED)


def test_lengths_and_encodings_that_lie_have_theirs() -> None:
    assert outcomes(LENGTHS) == expected(LENGTHS)


def test_answers_and_redirects_that_make_no_sense_have_theirs() -> None:
    assert outcomes(ANSWERS) == expected(ANSWERS)


def test_addresses_that_cannot_be_asked_have_theirs() -> None:
    addresses = {
        "file:///etc/passwd": Outcome.BAD_SCHEME,
        "data:image/gif;base64,R0lGODlhAQABAAAAACw=": Outcome.BAD_SCHEME,
        "ftp://127.0.0.1/x": Outcome.BAD_SCHEME,
        "": Outcome.BAD_URL,
        "None": Outcome.BAD_URL,
        "not a url": Outcome.BAD_URL,
        "//127.0.0.1/x": Outcome.BAD_URL,
        "http://": Outcome.BAD_URL,
        "http://a..org/x": Outcome.BAD_URL,
        f"http://{'a' * 64}.org/": Outcome.BAD_URL,
        "http://a.org:x/": Outcome.BAD_URL,
        "http://[::1/x": Outcome.BAD_URL,
        "http://10.0.0.1/x": Outcome.SSRF_BLOCKED,
        "http://nowhere.invalid/x": Outcome.DNS,
        f"http://127.0.0.1:{unused_port()}/x": Outcome.CONNECT,
    }
    found = fetched(list(addresses), quick(timeout_s=12.0))
    assert {one.url: one.outcome for one in found} == addresses
    asked = [one.url for one in found if one.attempts]
    assert asked == []  # not even for robots.txt, or that is what failed
