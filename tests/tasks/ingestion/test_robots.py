"""robots.txt is fetched once for each origin, in bounds; what failed is asked again."""

import asyncio

import pytest

from tasks.ingestion.fetching import robots
from tasks.ingestion.fetching.fetched import Fetched
from tasks.ingestion.fetching.robots import Robots, refusal
from tasks.ingestion.fetching.rules import Rules
from tasks.rows import Outcome
from tests.fetching import BODY, fetched, fetched_together, quick
from tests.web import Answer, web

CLOSED = b"User-agent: *\nDisallow: /"
PAGE = {f"/{n}": Answer(body=BODY) for n in range(9)}


def refusals(urls_of: int, answers: dict[str, Answer]) -> tuple[list[Fetched], int]:
    """Fetch some pages of a site at once; return what came and how often its rules were asked."""
    with web(PAGE | answers) as site:
        found = fetched_together([f"{site.url}/{n}" for n in range(urls_of)], quick())
        return found, site.asked["/robots.txt"]


def test_rules_are_asked_for_once_for_all_who_wait_for_them() -> None:
    found, asked = refusals(9, {"/robots.txt": Answer(body=CLOSED, late_s=0.05)})
    assert {one.outcome for one in found} == {Outcome.ROBOTS_TXT}
    assert {one.attempts for one in found} == {0}
    assert asked == 1


def test_a_file_is_read_up_to_its_bound_and_its_cut_line_left_out() -> None:
    filling = b"#" * (robots.MAX_BYTES - 50) + b"\n"
    lines = b"User-agent: *\nDisallow: /1\nDisallow: /2345678901234567890"
    found, _ = refusals(4, {"/robots.txt": Answer(body=filling + lines + b"0" * 99_999)})
    kept = [one.outcome is Outcome.KEPT for one in found]
    assert kept == [True, False, True, True]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(status=404), Outcome.KEPT),
        (Answer(status=401), Outcome.KEPT),
        (Answer(status=410), Outcome.KEPT),
        (Answer(status=429), Outcome.ROBOTS_TXT),
        (Answer(status=500), Outcome.ROBOTS_TXT),
        (Answer(status=200), Outcome.KEPT),
        (Answer(status=204), Outcome.KEPT),
        (Answer(status=302, headers={"Location": "/robots.txt"}), Outcome.KEPT),
        (Answer(status=302, headers={"Location": "/rules"}), Outcome.ROBOTS_TXT),
        (Answer(status=302, headers={"Location": "http://10.0.0.1/x"}), Outcome.SSRF_BLOCKED),
        (Answer(raw=b"", endless=b"H", drip_s=600), Outcome.TIMEOUT),
        (Answer(raw=b""), Outcome.PROTOCOL),
        (Answer(body=CLOSED, promised=999), Outcome.INCOMPLETE_BODY),
        (Answer(body=CLOSED, headers={"X-Robots-Tag": "noindex"}), Outcome.ROBOTS_TXT),
    ],
)
def test_what_comes_in_place_of_rules_opens_or_closes_a_site(
    answer: Answer, outcome: Outcome
) -> None:
    found, _ = refusals(1, {"/robots.txt": answer, "/rules": Answer(body=CLOSED)})
    assert found[0].outcome is outcome
    assert outcome is Outcome.KEPT or found[0].message.startswith("robots.txt")


def test_schemes_and_ports_of_a_host_have_rules_of_their_own() -> None:
    with web(PAGE | {"/robots.txt": Answer(body=CLOSED)}) as closed, web(PAGE) as other:
        found = fetched([f"{closed.url}/1", f"{other.url}/1"], quick())
    assert [one.outcome for one in found] == [Outcome.ROBOTS_TXT, Outcome.KEPT]


def asked_for(answers: dict[str, list[Fetched]], origins: list[str]) -> list[str]:
    """Ask for the rules of some origins, one after another; return which were fetched."""
    fetched_urls: list[str] = []

    async def get(url: str) -> Fetched:
        fetched_urls.append(url)
        return answers[url].pop(0)

    async def ask() -> None:
        rules = Robots(get, "caplift")
        for origin in origins:
            if rules.known(origin) is None:
                await rules.read(origin)
        await rules.close()

    asyncio.run(ask())
    return fetched_urls


def rules_of(origin: str, body: bytes = CLOSED) -> dict[str, list[Fetched]]:
    url = f"{origin}/robots.txt"
    return {url: [Fetched(url, Outcome.KEPT, body)] * 9}


def test_of_many_origins_the_first_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots, "MOST_ORIGINS", 2)
    answers = rules_of("a") | rules_of("b") | rules_of("c")
    assert asked_for(answers, ["a", "b", "c", "c", "b", "a"]) == [
        f"{origin}/robots.txt" for origin in "abca"
    ]


def test_large_files_are_forgotten_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots, "MOST_REMEMBERED_BYTES", 2 * len(CLOSED))
    answers = rules_of("a") | rules_of("b") | rules_of("c", b"#" + CLOSED)
    assert asked_for(answers, ["a", "b", "a", "b", "c", "b"]) == [
        f"{origin}/robots.txt" for origin in "abcb"
    ]


def test_what_failed_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots, "FAILED_TTL_S", 0.0)
    down = Fetched("a/robots.txt", Outcome.CONNECT, message="down")
    answers = {"a/robots.txt": [down, *rules_of("a")["a/robots.txt"]]}
    assert len(asked_for(answers, ["a"] * 5)) == 2


def test_a_refusal_names_its_reason() -> None:
    assert refusal(robots.NO_RULES, "/x") is None
    closed = Rules.parse(CLOSED.decode(), "caplift")
    found = refusal(closed, "/x")
    assert found is not None
    assert (found.outcome, found.message) == (Outcome.ROBOTS_TXT, "robots.txt disallows it")
