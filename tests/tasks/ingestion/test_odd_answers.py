"""What sloppy servers send is taken as browsers take it, and what is not whole is never taken.

Beside the catalogue of failures: codings that are cut, doubled or meaningless, lengths that say too
little, heads that are large or come in pieces, and redirects spelled with backslashes.
"""

import contextlib
import gzip
import socket
import threading
import time
import zlib

import brotli
import pytest

from tasks.ingestion.fetching.unpacking import PackedError, unpacked
from tasks.rows import Outcome
from tests.fetching import BODY, fetched, one, quick
from tests.web import Answer, web

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
LONG = bytes(range(256)) * 3001  # unpacked in several steps
RAW = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
DEFLATED = RAW.compress(BODY) + RAW.flush()

WHOLE = {
    "gzip": (gzip.compress(BODY), "gzip"),
    "in capitals": (gzip.compress(BODY), "GZIP"),
    "under its old name": (gzip.compress(BODY), "x-gzip"),
    "twice": (gzip.compress(gzip.compress(BODY)), "gzip, gzip"),
    "by two kinds": (brotli.compress(gzip.compress(BODY)), "gzip, br"),
    "in two members": (gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), "gzip"),
    "with bytes behind it": (gzip.compress(BODY) + b"\0 garbage", "gzip"),
    "deflate": (zlib.compress(BODY), "deflate"),
    "deflate without a header": (DEFLATED, "deflate"),
    "brotli": (brotli.compress(BODY), "br"),
    "a coding that is none": (BODY, "utf-8"),
    "identity": (BODY, "identity"),
    "nothing": (BODY, ""),
}
BROKEN = {
    "half a gzip": (gzip.compress(bytes(range(256)) * 99)[:-200], "gzip"),
    "a gzip without its sum": (gzip.compress(BODY)[:-4], "gzip"),
    "a gzip with a wrong sum": (gzip.compress(BODY)[:-8] + bytes(8), "gzip"),
    "half a second member": (gzip.compress(BODY) + gzip.compress(BODY)[:-9], "gzip"),
    "half a deflate": (zlib.compress(BODY)[:-6], "deflate"),
    "half a brotli": (brotli.compress(BODY)[:-3], "br"),
    "no brotli": (b"\xff" * 50, "br"),
    "packed once and said twice": (gzip.compress(BODY), "gzip, gzip"),
    "packed four times": (BODY, "gzip, gzip, gzip, gzip"),
}


def packed(body: bytes, coding: str) -> Answer:
    return Answer(body=body, headers={"Content-Encoding": coding})


@pytest.mark.parametrize("name", WHOLE)
def test_a_body_comes_out_of_its_codings(name: str) -> None:
    found, _ = one(packed(*WHOLE[name]))
    assert (found.outcome, found.body) == (Outcome.KEPT, BODY), found.message


@pytest.mark.parametrize("name", BROKEN)
def test_a_body_that_is_not_packed_to_its_end_is_none(name: str) -> None:
    found, _ = one(packed(*BROKEN[name]))
    assert (found.outcome, found.body) == (Outcome.INCOMPLETE_BODY, b"")
    assert found.may_pass


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_body_is_unpacked_in_small_pieces_at_whatever_byte_it_is_cut(coding: str) -> None:
    by = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}
    whole = by[coding](LONG)
    pieces = list(unpacked(whole, [coding]))
    assert b"".join(pieces) == LONG
    assert max(map(len, pieces)) <= 1 << 19
    for cut in range(1, len(whole), 97):
        with pytest.raises(PackedError):
            list(unpacked(whole[:cut], [coding]))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_nothing_packed_is_an_empty_body(coding: str) -> None:
    assert one(packed(b"", coding))[0].outcome is Outcome.EMPTY_BODY


@pytest.mark.parametrize("behind", [b"\n", b"<!-- served by x -->", bytes(99), BODY * 500])
def test_bytes_behind_an_announced_body_are_passed_over(behind: bytes) -> None:
    found, _ = one(Answer(raw=HEAD + LENGTH + b"\r\n" + BODY + behind))
    assert (found.outcome, found.body) == (Outcome.KEPT, BODY), found.message


@pytest.mark.parametrize(
    ("answer", "outcome", "status"),
    [
        (HEAD + b"Content-Length: 0\r\n\r\n" + BODY, Outcome.EMPTY_BODY, 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n" + BODY, Outcome.EMPTY_BODY, 204),
        (b"HTTP/1.1 304 Not Modified\r\n" + LENGTH + b"\r\n" + BODY, Outcome.HTTP_ERROR, 304),
        (b"HTTP/1.1 404 Not Found\r\n" + LENGTH + b"\r\n" + BODY * 9, Outcome.HTTP_ERROR, 404),
    ],
)
def test_an_answer_without_a_body_is_one_whatever_comes_behind_it(
    answer: bytes, outcome: Outcome, status: int
) -> None:
    found, _ = one(Answer(raw=answer))
    assert (found.outcome, found.http_status) == (outcome, status)


@pytest.mark.parametrize(
    "head",
    [
        HEAD + LENGTH + b"\r\n",
        HEAD.replace(b"\r", b"") + LENGTH.replace(b"\r", b"") + b"\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HEAD + LENGTH + b"\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
        HEAD + b"\r\n",
    ],
    ids=["plain", "without cr", "hints", "chunked", "unannounced"],
)
@pytest.mark.parametrize("step", [1, 7, 50, 10_000])
def test_an_answer_in_any_pieces_is_the_same(head: bytes, step: int) -> None:
    body = b"\r\n\r\n\n\n" + BODY  # looks like the end of a head
    head = head.replace(LENGTH.strip(), b"Content-Length: %d" % len(body))
    if b"chunked" in head:
        sent = head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    else:
        sent = head + body
    found = dripped([sent[at : at + step] for at in range(0, len(sent), step)])
    assert found == (Outcome.KEPT, body)


@pytest.mark.parametrize("sent", [b"no size\r\n", b"3\r\nabc\r\nzz\r\n", b"3\r\nabcd\r\n"])
def test_chunks_that_are_none_end_at_once_even_behind_a_head_that_came_before(sent: bytes) -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    # The server stays beyond the deadline, which would be a timeout.
    assert dripped([head, sent], stays_s=30.0) == (Outcome.PROTOCOL, b"")


def dripped(pieces: list[bytes], stays_s: float = 0.0) -> tuple[Outcome, bytes]:
    """Return what an answer that leaves in these pieces becomes; the server may stay after it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.recv(65_536)
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(min(stays_s, 0.02))
                connection.settimeout(stays_s)
                with contextlib.suppress(OSError):
                    connection.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        (found,) = fetched([url], quick(respect_robots=False, timeout_s=5.0))
        thread.join()
    return found.outcome, found.body


def test_a_header_may_be_as_long_as_security_policies_are() -> None:
    headers = {"Content-Security-Policy": "x" * 40_000}
    assert one(Answer(body=BODY, headers=headers))[0].body == BODY
    assert one(Answer(body=BODY, headers={"X": "x" * 70_000}))[0].outcome is Outcome.PROTOCOL


@pytest.mark.parametrize(
    "location",
    ["\\new", "..\\a\\..\\new", "http:\\\\{host}\\new", "\\\\{host}/new", "/\\{host}\\new"],
)
def test_backslashes_lead_where_browsers_go(location: str) -> None:
    with web({"/new": Answer(body=BODY)}) as site:
        said = location.format(host=site.url.removeprefix("http://"))
        site.answers["/old"] = Answer(status=302, headers={"Location": said})
        (found,) = fetched([f"{site.url}/old"], quick())
    assert (found.outcome, found.final_url) == (Outcome.KEPT, f"{site.url}/new")


@pytest.mark.parametrize("slashes", ["\\\\", "/\\", "http:\\\\", "http:/\\", "\\/"])
def test_backslashes_never_lead_inward(slashes: str) -> None:
    with web({"/x": Answer(body=BODY)}, host="127.0.0.2") as inside:
        hidden = slashes + inside.url.removeprefix("http://") + "\\x"
        found, _ = one(Answer(status=302, headers={"Location": hidden}))
        assert found.outcome is not Outcome.KEPT
        assert not inside.asked


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({"X-Robots-Tag": "noai; noimageai"}, Outcome.OPTED_OUT),
        ({"X-Robots-Tag": "otherbot: noai; noindex"}, Outcome.KEPT),
        ({"TDM-Reservation": "1, 1"}, Outcome.OPTED_OUT),
        ({"TDM-Reservation": "1; policy"}, Outcome.OPTED_OUT),
        ({"TDM-Reservation": "0, 10"}, Outcome.KEPT),
    ],
)
def test_an_opt_out_that_is_spelled_carelessly_is_one(
    headers: dict[str, str], outcome: Outcome
) -> None:
    assert one(Answer(body=BODY, headers=headers))[0].outcome is outcome
