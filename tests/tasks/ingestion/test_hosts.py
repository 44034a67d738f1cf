"""Hosts are asked as fast as they like it, and none of them holds up another."""

import time
from contextlib import ExitStack

import pytest

from tasks.ingestion.fetching import hosts
from tasks.ingestion.fetching.fetched import Fetched
from tasks.ingestion.fetching.hosts import BURST, Breakers, Host, Hosts
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome
from tests.fetching import BODY, OPENED, fetched, fetched_together, quick
from tests.web import Answer, web

PAGE = Answer(body=BODY)
HOSTS = tuple(f"127.0.0.{n}" for n in (2, 3, 4, 5))
ORIGIN = "http://a.org"


def test_hosts_that_limit_their_visitors_lose_none() -> None:
    # Of 400 at four hosts like these, img2dataset brings 220.
    with ExitStack() as stack:
        page = {f"/{n}": PAGE for n in range(40)}
        sites = [stack.enter_context(web(page, host=host)) for host in HOSTS]
        for site in sites:
            site.rate = 20
        urls = [f"{site.url}{path}" for path in page for site in sites]
        found = fetched_together(urls, quick(retries=2, allow_private_hosts=HOSTS))
    assert sum(one.outcome is Outcome.KEPT for one in found) == len(urls)


def test_a_host_is_asked_no_faster_than_its_rate_and_waiting_is_no_failure() -> None:
    with web({f"/{n}": PAGE for n in range(19)}) as site:
        how = quick(per_host_rate=11.0, respect_robots=False, timeout_s=1.0)
        began_s = time.monotonic()
        found = fetched_together([f"{site.url}/{n}" for n in range(19)], how)
        assert time.monotonic() - began_s >= (19 - BURST) / 11
    assert {one.outcome for one in found} == {Outcome.KEPT}
    assert max(one.waited_s for one in found) > 1  # longer than any had for itself


def test_no_more_connections_than_allowed_are_open_to_a_host() -> None:
    with web({f"/{n}": Answer(body=BODY, late_s=0.02) for n in range(23)}) as site:
        urls = [f"{site.url}/{n}" for n in range(23)]
        found = fetched_together(urls, quick(per_host_concurrency=3))
        assert site.most_at_once == 3
    assert {one.outcome for one in found} == {Outcome.KEPT}


def test_hosts_that_lead_to_each_other_wait_for_nobody() -> None:
    with web({}, host=HOSTS[0]) as one, web({}, host=HOSTS[1]) as other:
        for here, there in ((one, other), (other, one)):
            for n in range(7):
                to = {"Location": f"{there.url}/end"}
                here.answers[f"/{n}"] = Answer(status=302, headers=to, late_s=0.01)
            here.answers["/end"] = Answer(body=BODY, late_s=0.01)
        urls = [f"{site.url}/{n}" for n in range(7) for site in (one, other)]
        how = quick(per_host_concurrency=1, allow_private_hosts=HOSTS, timeout_s=20.0)
        found = fetched_together(urls, how)
        assert max(one.most_at_once, other.most_at_once) == 1
    assert {one.outcome for one in found} == {Outcome.KEPT}


def test_who_waits_for_a_host_takes_no_room_from_the_others() -> None:
    busy = Answer(body=BODY, first=(429,), headers={"Retry-After": "1"})
    with web({"/x": busy}, host=HOSTS[0]) as slow, web({"/x": PAGE}, host=HOSTS[1]) as quick_one:
        urls = [f"{slow.url}/x", f"{quick_one.url}/x"]
        how = quick(concurrency=1, retries=1, allow_private_hosts=HOSTS, respect_robots=False)
        first, second = fetched_together(urls, how)
    assert (first.outcome, first.attempts, second.outcome) == (Outcome.KEPT, 2, Outcome.KEPT)
    assert first.waited_s >= 1 > second.seconds + second.waited_s


def test_a_pause_that_a_host_asks_for_holds_for_all_of_its_addresses() -> None:
    busy = Answer(body=BODY, first=(503,), headers={"Retry-After": "1"})
    with web({"/busy": busy, "/x": PAGE}) as site:
        how = quick(retries=0, respect_robots=False)
        began_s = time.monotonic()
        found = fetched([f"{site.url}/busy", f"{site.url}/x"], how)
        assert time.monotonic() - began_s >= 1
    assert [one.outcome for one in found] == [Outcome.HTTP_ERROR, Outcome.KEPT]


def test_a_rate_halves_once_for_what_was_under_way_and_grows_again() -> None:
    host = Host(8.0, 1)
    asked_s = time.monotonic()
    host.slow_down(asked_s, None)
    host.slow_down(asked_s, None)  # asked before the rate was lowered
    assert host.rate == 4
    host.slow_down(time.monotonic(), None)
    assert host.rate == 2
    for _ in range(2):  # about a second's answers
        host.speed_up()
    assert host.rate == pytest.approx(2 * 1.2)
    for _ in range(99):
        host.speed_up()
    assert host.rate == 8
    for _ in range(99):
        host.slow_down(time.monotonic(), None)
    assert host.rate == hosts.SLOWEST_RATE


def test_public_hosts_have_a_rate_and_opened_ones_only_what_is_set() -> None:
    assert Hosts(Ingestion(allow_private_hosts=OPENED)).of("a.org").rate == hosts.RATE
    assert Hosts(Ingestion(allow_private_hosts=OPENED)).of("127.0.0.1").rate == float("inf")
    set_rate = Ingestion(allow_private_hosts=OPENED, per_host_rate=3)
    assert Hosts(set_rate).of("127.0.0.1").rate == 3


def test_processes_take_a_part_of_a_rate_each() -> None:
    assert Hosts(Ingestion(), 0.25).of("a.org").rate == hosts.RATE / 4
    assert Hosts(Ingestion(per_host_rate=3.0), 0.5).of("a.org").rate == 1.5
    opened = Ingestion(allow_private_hosts=OPENED)
    assert Hosts(opened, 0.5).of("127.0.0.1").rate == float("inf")


def test_of_many_hosts_those_that_rest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "MOST_HOSTS", 3)
    known = Hosts(Ingestion())
    busy = known.of("busy.org")
    busy.visitors = 1
    resting = known.of("resting.org")
    for n in range(5):
        known.of(f"{n}.org")
    assert known.of("busy.org") is busy
    assert known.of("resting.org") is not resting


def noted(outcomes: list[Outcome]) -> Breakers:
    breakers = Breakers()
    for outcome in outcomes:
        breakers.note(ORIGIN, Fetched(f"{ORIGIN}/x", outcome, message="as it was"))
    return breakers


@pytest.mark.parametrize(
    ("outcomes", "is_open"),
    [
        ([Outcome.CONNECT] * 4, False),
        ([Outcome.CONNECT] * 5, True),
        ([Outcome.DNS, Outcome.TLS, Outcome.CONNECT, Outcome.DNS, Outcome.TLS], True),
        ([Outcome.TIMEOUT] * 9, False),
        ([Outcome.TIMEOUT] * 10, True),
        ([Outcome.CONNECT] * 4 + [Outcome.KEPT, Outcome.CONNECT], False),
        ([Outcome.CONNECT] * 4 + [Outcome.HTTP_ERROR, Outcome.CONNECT], False),
        ([Outcome.CONNECT] * 4 + [Outcome.ROBOTS_TXT, Outcome.CONNECT], True),  # was not asked
    ],
)
def test_an_origin_is_given_up_when_all_of_it_is_out_of_reach(
    outcomes: list[Outcome], is_open: bool
) -> None:
    breakers = noted(outcomes)
    assert breakers.is_open(ORIGIN) is is_open
    refused = breakers.refusal(ORIGIN)
    assert (refused is not None) is is_open
    if refused is not None:
        assert refused.outcome is outcomes[-1]
        assert refused.message.startswith("not asked: ")
        assert refused.message.endswith("as it was")
    assert breakers.refusal("http://b.org") is None


def test_after_a_while_one_address_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "OPEN_S", 0.0)
    breakers = noted([Outcome.CONNECT] * 5)
    monkeypatch.setattr(hosts, "OPEN_S", 60.0)
    assert breakers.refusal(ORIGIN) is None
    assert breakers.refusal(ORIGIN) is not None  # one is enough
    breakers.note(ORIGIN, Fetched(f"{ORIGIN}/x", Outcome.KEPT))
    assert breakers.refusal(ORIGIN) is None


def test_a_host_that_throttles_every_address_is_left_alone() -> None:
    with web({f"/{n}": Answer(status=429) for n in range(7)}) as site:
        urls = [f"{site.url}/{n}" for n in range(7)]
        found = fetched(urls, quick(respect_robots=False))
        assert sum(site.asked.values()) == 5
    assert {(one.outcome, one.http_status) for one in found} == {(Outcome.HTTP_ERROR, 429)}
    assert [one.attempts for one in found] == [1] * 5 + [0] * 2
