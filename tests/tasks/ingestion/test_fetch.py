"""Every request ends in bounded time and bytes with one outcome, at public addresses only."""

import gzip
import resource
import time

import pytest

from tasks.rows import Outcome
from tests.fetching import BODY, fetched, one, quick
from tests.web import Answer, unused_port, web

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(raw=b"HTTP/1.1 200 OK\r\n", endless=b"X-A: b\r\n", drip_s=0.05), Outcome.TIMEOUT),
        (Answer(raw=HEAD + b"\r\n", endless=b"x", drip_s=0.05), Outcome.TIMEOUT),
        (Answer(raw=HEAD + b"X-Long: ", endless=b"x" * 1024), Outcome.PROTOCOL),
        (
            Answer(
                raw=HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
                endless=b"400\r\n" + b"x" * 1024 + b"\r\n",
            ),
            Outcome.TOO_LARGE,
        ),
        (Answer(raw=HEAD + b"\r\n", endless=b"x" * 1024), Outcome.TOO_LARGE),
        (
            Answer(raw=HEAD + b"Transfer-Encoding: chunked\r\n\r\nno size\r\n"),
            Outcome.PROTOCOL,
        ),
        (Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Outcome.PROTOCOL),
        (Answer(raw=b""), Outcome.PROTOCOL),
        (Answer(is_reset=True), Outcome.CONNECTION_RESET),
        (Answer(raw=HEAD + b"Content-Length: 999\r\n\r\n" + BODY), Outcome.INCOMPLETE_BODY),
        (
            Answer(body=b"no gzip at all", headers={"Content-Encoding": "gzip"}),
            Outcome.INCOMPLETE_BODY,
        ),
    ],
    ids=[
        "headers-drip", "body-drips", "header-too-long", "endless-chunks", "endless-body",
        "bad-chunk", "no-http", "silence", "reset", "early-end", "no-gzip",
    ],
)  # fmt: skip
def test_a_hostile_answer_ends_by_itself(answer: Answer, outcome: Outcome) -> None:
    began = time.monotonic()
    found, _ = one(answer)
    assert found.outcome is outcome, found.message
    assert found.body == b""
    assert found.message
    assert "\n" not in found.message
    assert time.monotonic() - began < 20  # the deadline is one second, pauses come on top


def test_a_small_body_that_unpacks_to_a_giant_costs_no_giant_memory() -> None:
    packed = gzip.compress(bytes(1 << 29), 1)  # 512 MiB of zeros
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = Answer(body=packed, headers={"Content-Encoding": "gzip"})
    found, _ = one(answer, quick(max_bytes=4 << 20, timeout_s=20.0))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert found.outcome is Outcome.TOO_LARGE
    assert (after - before) * 1024 < 128 << 20


def test_a_packed_body_comes_unpacked() -> None:
    found, _ = one(Answer(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip"}))
    assert found.body == BODY


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect_is_followed(status: int) -> None:
    answers = {
        "/old": Answer(status=status, headers={"Location": "new?a=1"}),
        "/new?a=1": Answer(body=BODY),
    }
    with web(answers) as site:
        (found,) = fetched([f"{site.url}/old"], quick())
        assert (found.outcome, found.body) == (Outcome.KEPT, BODY)
        assert found.final_url == f"{site.url}/new?a=1"
        assert found.url == f"{site.url}/old"


@pytest.mark.parametrize("name", ["127.0.0.2", "localhost", "0x7f.2", "2130706434", "[::1]"])
def test_no_spelling_of_a_private_address_is_asked_first_or_after_a_redirect(name: str) -> None:
    with web({"/canary": Answer(body=BODY)}, host="127.0.0.2") as inside:
        hidden = f"http://{name}:{inside.url.rsplit(':', 1)[1]}/canary"
        with web({"/x": Answer(status=302, headers={"Location": hidden})}) as site:
            found = fetched([hidden, f"{site.url}/x"], quick(respect_robots=False))
            assert [one.outcome for one in found] == [Outcome.SSRF_BLOCKED] * 2
        assert not inside.asked  # not even for robots.txt


@pytest.mark.parametrize(
    ("status", "asked"),
    [(404, 1), (403, 1), (410, 1), (500, 3), (501, 1), (503, 3), (522, 3), (429, 3)],
)
def test_only_what_may_pass_is_asked_again(status: int, asked: int) -> None:
    found, times = one(Answer(status=status), quick(retries=2))
    assert (found.outcome, found.http_status) == (Outcome.HTTP_ERROR, status)
    assert times == found.attempts == asked


def test_a_server_that_asks_for_a_pause_gets_it_or_is_left_alone() -> None:
    soon = Answer(body=BODY, status=429, headers={"Retry-After": "1"})
    began = time.monotonic()
    found, times = one(soon, quick(retries=1))
    assert time.monotonic() - began > 1
    assert times == 2
    found, times = one(Answer(status=503, headers={"Retry-After": "3600"}), quick(retries=2))
    assert (found.http_status, times) == (503, 1)


def test_the_rest_of_an_origin_out_of_reach_end_at_once_as_the_first_did() -> None:
    dead = f"http://127.0.0.1:{unused_port()}"
    with web({"/x": Answer(body=BODY)}) as site:
        urls = [*(f"{dead}/{n}" for n in range(7)), f"{site.url}/x"]
        found = fetched(urls, quick(retries=1, respect_robots=False))
    assert [one.outcome for one in found] == [Outcome.CONNECT] * 7 + [Outcome.KEPT]
    assert [one.attempts for one in found] == [2, 2, 2, 2, 2, 0, 0, 1]
    assert all("not asked: 5 of this site failed" in one.message for one in found[5:7])
    assert [one.url for one in found] == urls


def test_names_that_do_not_exist_and_plain_text_on_a_tls_port_are_told_apart() -> None:
    with web({}) as site:
        how = quick(timeout_s=10.0)
        urls = ["http://nowhere.invalid/x", site.url.replace("http", "https") + "/x"]
        found = fetched(urls, how)
    assert [one.outcome for one in found] == [Outcome.DNS, Outcome.TLS]


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({"X-Robots-Tag": "noai"}, Outcome.OPTED_OUT),
        ({"x-robots-tag": "index, NoImageIndex"}, Outcome.OPTED_OUT),
        ({"X-Robots-Tag": "caplift: noml"}, Outcome.OPTED_OUT),
        ({"X-Robots-Tag": "otherbot: noai"}, Outcome.KEPT),
        ({"X-Robots-Tag": "otherbot: noai, *: noindex"}, Outcome.OPTED_OUT),
        ({"X-Robots-Tag": "max-snippet: 3"}, Outcome.KEPT),
        ({"TDM-Reservation": "1"}, Outcome.OPTED_OUT),
        ({"TDM-Reservation": "0"}, Outcome.KEPT),
    ],
)
def test_headers_that_opt_out_are_obeyed_unless_told_otherwise(
    headers: dict[str, str], outcome: Outcome
) -> None:
    assert one(Answer(body=BODY, headers=headers))[0].outcome is outcome
    assert one(Answer(body=BODY, headers=headers), quick(respect_opt_outs=False))[0].body == BODY


def test_the_body_of_a_site_that_opts_out_is_not_read() -> None:
    head = HEAD + b"X-Robots-Tag: noai\r\nContent-Length: 1000000000\r\n\r\n"
    with web({"/x": Answer(raw=head, endless=b"x" * 65_536)}) as site:
        (found,) = fetched([f"{site.url}/x"], quick(max_bytes=1 << 30, timeout_s=20.0))
        assert found.outcome is Outcome.OPTED_OUT
        assert site.sent["/x"] < 16 << 20  # what lay in the sockets' buffers


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        (Answer(body=b"User-agent: *\nDisallow: /x"), Outcome.ROBOTS_TXT),
        (Answer(body=b"User-agent: caplift\nDisallow: /"), Outcome.ROBOTS_TXT),
        (Answer(body=b"User-agent: other\nDisallow: /"), Outcome.KEPT),
        (Answer(body=b"User-agent: *\nDisallow: /\nAllow: /x"), Outcome.KEPT),
        (Answer(body=b"User-agent: *\nDisallow: /*.gif$"), Outcome.KEPT),
        (Answer(status=404), Outcome.KEPT),
        (Answer(status=403), Outcome.KEPT),
        (Answer(status=503), Outcome.ROBOTS_TXT),
        (Answer(), Outcome.KEPT),
        (Answer(body=b"\xff\xfe\0 no rules"), Outcome.KEPT),
        (Answer(status=302, headers={"Location": "/rules"}), Outcome.ROBOTS_TXT),
    ],
)
def test_robots_txt_means_what_rfc_9309_says(rules: Answer, outcome: Outcome) -> None:
    moved = Answer(body=b"User-agent: *\nDisallow: /")
    with web({"/x": Answer(body=BODY), "/robots.txt": rules, "/rules": moved}) as site:
        (found,) = fetched([f"{site.url}/x"], quick(timeout_s=5.0))
        assert found.outcome is outcome
        assert site.asked["/x"] == (outcome is Outcome.KEPT)
        (found,) = fetched([f"{site.url}/x"], quick(respect_robots=False))
        assert found.outcome is Outcome.KEPT


def test_rules_are_asked_for_once_and_hold_on_the_site_that_a_redirect_leads_to() -> None:
    closed = {"/x": Answer(body=BODY), "/robots.txt": Answer(body=b"User-agent: *\nDisallow: /")}
    with web(closed) as other:
        moved = Answer(status=301, headers={"Location": f"{other.url}/x"})
        with web({"/1": moved, "/2": moved, "/3": moved}) as site:
            found = fetched([f"{site.url}/{n}" for n in (1, 2, 3)], quick())
            assert [one.outcome for one in found] == [Outcome.ROBOTS_TXT] * 3
            assert site.asked["/robots.txt"] == other.asked["/robots.txt"] == 1
        assert other.asked["/x"] == 0


def test_the_client_says_who_it_is() -> None:
    with web({"/x": Answer(body=BODY)}) as site:
        fetched([f"{site.url}/x"], quick(contact="https://a.org/bot"))
        assert site.agents == {"Caplift/0.1 (+https://a.org/bot)"}
