"""Only public addresses are asked, however they are spelled, named, reached or resolved."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from tasks.ingestion.fetching import guard
from tasks.ingestion.fetching.guard import GuardedResolver, is_public
from tasks.ingestion.loop import run
from tasks.rows import Outcome
from tests.fetching import BODY, fetched, fetched_together, quick
from tests.web import Answer, web

PAGE = {"/x": Answer(body=BODY)}
PUBLIC = "93.184.215.14"
Lookup = tuple[Any, ...]


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.88.99.1", "192.0.2.1", "192.168.0.1",
        "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1",
        "ff02::1", "ff0e::1", "2001:db8::1", "100::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_none(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "8.8.8.8", "172.32.0.1", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"],
)
def test_a_public_one_is(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2", "127.2", "0x7f.2", "0x7f000002", "2130706434", "017700000002", "0177.0.0.2",
        "127.0.0.2.", "[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "[64:ff9b::7f00:2]", "[::1]", "[::]",
        "0", "0.0.0.0", "localhost", "LOCALHOST.", "①②⑦.0.0.2", "127。0。0。2",
        "user@127.0.0.2", "a.org@127.0.0.2", "a.org:80@127.0.0.2", "127.0.0.2%00.a.org",
        "127.0.0.2%2F.a.org", "a.org\\@127.0.0.2",
        "127.0.0.2\\@a.org", "127.0.0.2\u00ad", "127\u20240\u20240\u20242", "[::ffff:0:7f00:2]",
        "[::ffff:127.0.0.2%25lo]", "[127.0.0.2]", "4294967298",
    ],
)  # fmt: skip
def test_no_spelling_of_a_private_address_is_asked(host: str) -> None:
    with web(PAGE, host="127.0.0.2") as inside:
        hidden = f"http://{host}:{inside.url.rsplit(':', 1)[1]}/x"
        (found,) = fetched([hidden], quick())
        assert found.outcome in (Outcome.SSRF_BLOCKED, Outcome.BAD_URL, Outcome.DNS), found
        assert found.attempts == 0
        assert not inside.asked


def resolving(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[list[str]]]) -> list[str]:
    """Let the system's resolver say these addresses, one list after another; return who asks."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *rest: Any) -> list[Lookup]:
        if host not in answers:
            return list(real(host, port, *rest))
        asked.append(host)
        found = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_that_resolves_inward_is_blocked_unless_it_was_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inward = [["127.0.0.2"]]
    names = {"in.test": inward, "both.test": [[PUBLIC, "127.0.0.2"]], "ok.test": inward}
    resolving(monkeypatch, names)
    with web(PAGE, host="127.0.0.2") as inside:
        port = inside.url.rsplit(":", 1)[1]
        urls = [f"http://{name}:{port}/x" for name in names]
        found = fetched(urls, quick(allow_private_hosts=("ok.test",), respect_robots=False))
        assert inside.asked["/x"] == 1
    blocked = Outcome.SSRF_BLOCKED
    assert [one.outcome for one in found] == [blocked, blocked, Outcome.KEPT]


def test_a_name_that_turns_inward_between_two_answers_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What the guard saw is what is connected to: the second answer is never used unseen.
    asked = resolving(monkeypatch, {"turns.test": [[PUBLIC], ["127.0.0.2"]]})
    resolver_saw = []

    async def twice() -> None:
        resolver = GuardedResolver(())
        resolver_saw.append((await resolver.resolve("turns.test", 80))[0]["host"])
        with pytest.raises(guard.BlockedAddressError):
            await resolver.resolve("turns.test", 80)

    run(twice())
    assert resolver_saw == [PUBLIC]
    assert len(asked) == 2


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with web({"http://10.0.0.1/x": Answer(body=b"inside")}) as proxy, web(PAGE) as site:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        found = fetched(["http://10.0.0.1/x", f"{site.url}/x"], quick())
        assert not proxy.asked
    assert [one.outcome for one in found] == [Outcome.SSRF_BLOCKED, Outcome.KEPT]


def test_a_name_that_does_not_exist_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving(monkeypatch, {"gone.test": [[]]})
    urls = [f"http://gone.test/{n}" for n in range(9)]
    for how in (quick(retries=2), quick(retries=2, respect_robots=False)):
        asked.clear()
        assert {one.outcome for one in fetched(urls, how)} == {Outcome.DNS}
        assert asked == ["gone.test"]


def test_names_remembered_as_missing_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_NEGATIVE", 2)
    names = ["a.test", "b.test", "c.test"]
    asked = resolving(monkeypatch, {name: [[]] for name in names})

    async def look(resolver: GuardedResolver, name: str) -> None:
        with pytest.raises(socket.gaierror):
            await resolver.resolve(name)

    async def look_up() -> None:
        resolver = GuardedResolver(())
        for name in (*names, "b.test", "c.test", "a.test"):
            await look(resolver, name)

    asyncio.run(look_up())
    assert asked == [*names, "a.test"]


def test_names_whose_servers_are_dead_hold_up_neither_others_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any) -> list[Lookup]:
        if host.startswith("dead"):
            answered.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "at last")
        if host == "alive.test":
            host = "127.0.0.1"
        return list(real(host, *rest))

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(guard, "LOOKUP_S", 0.5)
    with web(PAGE) as site:
        alive = site.url.replace("127.0.0.1", "alive.test") + "/x"
        urls = [*(f"http://dead{n}.test/" for n in range(40)), alive]
        how = quick(allow_private_hosts=("alive.test",), timeout_s=5.0)
        found = fetched_together(urls, how)
    answered.set()
    assert [one.outcome for one in found] == [Outcome.DNS] * 40 + [Outcome.KEPT]
    assert "no answer" in found[0].message
