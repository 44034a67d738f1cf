"""Bodies come within their speed and memory, over connections that are used again."""

import asyncio
import gzip
import socket
import threading

import pytest

from tasks.ingestion.fetching.budget import Budget
from tasks.ingestion.fetching.fetch import Fetcher
from tasks.ingestion.fetching.fetched import Fetched
from tasks.ingestion.loop import run
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome
from tests.fetching import BODY, fetched, one, quick
from tests.web import Answer, web

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
SIZE = 10_007


def within(budget: Budget, urls: list[str], how: Ingestion) -> tuple[list[Fetched], int]:
    """Fetch addresses at once and release each body; return them and the most bytes in use."""
    most = 0

    async def fetch_all() -> list[Fetched]:
        nonlocal most
        async with Fetcher(how, budget) as fetcher:

            async def get(url: str) -> Fetched:
                nonlocal most
                found = await fetcher.get(url)
                most = max(most, budget.used)
                await asyncio.sleep(0.01)  # somebody decodes it
                found.release()
                return found

            return await asyncio.gather(*map(get, urls))

    return run(fetch_all()), most


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"x" * SIZE),
        Answer(raw=HEAD + b"\r\n" + b"x" * SIZE),
        Answer(body=gzip.compress(b"x" * SIZE), headers={"Content-Encoding": "gzip"}),
    ],
    ids=["announced", "unannounced", "packed"],
)
def test_bodies_in_flight_stay_within_the_memory_they_are_given(answer: Answer) -> None:
    with web({f"/{n}": answer for n in range(31)}) as site:
        budget = Budget(3 * SIZE)
        urls = [f"{site.url}/{n}" for n in range(31)]
        found, most = within(budget, urls, quick(timeout_s=20.0, per_host_concurrency=31))
    assert [len(one.body) for one in found] == [SIZE] * 31
    assert 0 < most <= 3 * SIZE + (256 << 10)  # one may be over by what it asks for at a time
    assert budget.used == 0


def test_a_body_larger_than_the_memory_comes_all_the_same() -> None:
    with web({f"/{n}": Answer(body=b"x" * SIZE) for n in range(5)}) as site:
        budget = Budget(99)
        found, most = within(budget, [f"{site.url}/{n}" for n in range(5)], quick(timeout_s=20.0))
    assert {one.outcome for one in found} == {Outcome.KEPT}
    assert most == SIZE


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"x" * 9, promised=SIZE),
        Answer(body=b"x" * 60_000),
        Answer(raw=HEAD + b"\r\n", endless=b"x" * 999),
        Answer(),
        Answer(status=404, body=b"x" * 9),
        Answer(body=BODY, headers={"X-Robots-Tag": "noai"}),
        Answer(raw=HEAD + b"Content-Length: 99\r\n\r\nx", endless=b"x", drip_s=600),
    ],
)
def test_what_fails_gives_its_memory_back(answer: Answer) -> None:
    with web({"/x": answer}) as site:
        budget = Budget(SIZE)
        (found,), _ = within(budget, [f"{site.url}/x"], quick())
    assert found.outcome is not Outcome.KEPT
    assert budget.used == 0


def test_a_body_that_comes_too_slowly_ends_before_its_deadline() -> None:
    slow = Answer(body=b"x" * 999, drip_s=0.01)
    how = {"timeout_s": 60.0, "grace_s": 0.3}
    found, _ = one(slow, quick(**how, min_bytes_per_s=5000))
    assert found.outcome is Outcome.TIMEOUT
    assert found.message.endswith("bytes in 0.3 s")
    assert found.http_status == 200
    found, _ = one(Answer(body=b"x" * 99, drip_s=0.01), quick(**how, min_bytes_per_s=20))
    assert found.outcome is Outcome.KEPT


def test_a_body_that_stops_in_the_middle_ends_before_its_deadline() -> None:
    stops = Answer(raw=HEAD + b"\r\n" + b"x" * 50_000, endless=b"x", drip_s=600)
    found, _ = one(stops, quick(timeout_s=60.0, grace_s=0.2, min_bytes_per_s=1000))
    assert found.outcome is Outcome.TIMEOUT


class Pipe:
    """A server that counts connections, and answers each request with the next of some bytes."""

    def __init__(self, answers: list[bytes]) -> None:
        self.connections = 0
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self._answers:
            connection, _ = self._listener.accept()
            self.connections += 1
            with connection:
                while self._answers and connection.recv(65_536):
                    answer = self._answers.pop(0)
                    connection.sendall(answer)
                    if b"X-Closes" in answer:
                        break

    def close(self) -> None:
        self._thread.join(10)
        self._listener.close()


def answered(body: bytes, more: bytes = b"") -> bytes:
    return HEAD + f"Content-Length: {len(body)}\r\n".encode() + more + b"\r\n" + body


def piped(answers: list[bytes], count: int, **how: object) -> tuple[list[Fetched], int]:
    pipe = Pipe(answers)
    found = fetched([f"{pipe.url}/{n}" for n in range(count)], quick(respect_robots=False, **how))
    pipe.close()
    return found, pipe.connections


def test_one_connection_serves_many_addresses() -> None:
    found, connections = piped([answered(b"%d" % n) for n in range(7)], 7)
    assert [one.body for one in found] == [b"%d" % n for n in range(7)]
    assert connections == 1


def test_a_connection_that_was_closed_meanwhile_costs_no_address() -> None:
    close = b"X-Closes: without a word\r\n"
    found, connections = piped([answered(b"a", close), answered(b"b", close)], 2)
    assert [one.body for one in found] == [b"a", b"b"]
    assert connections == 2


def test_bytes_behind_a_body_never_become_the_next_address_s() -> None:
    poison = answered(b"a") + answered(b"poison")
    found, connections = piped([poison, answered(b"b")], 2)
    assert [one.outcome for one in found if one.body == b"poison"] == []
    assert found[-1].body == b"b"
    assert connections == 2


def test_a_row_has_its_facts() -> None:
    busy = Answer(body=BODY, first=(503,), headers={"Retry-After": "1", "Content-Type": "image/x"})
    with web({"/x": Answer(status=302, headers={"Location": "/y"}), "/y": busy}) as site:
        (found,) = fetched([f"{site.url}/x#fragment"], quick(retries=2))
        assert (found.url, found.final_url) == (f"{site.url}/x#fragment", f"{site.url}/y")
    assert (found.outcome, found.http_status, found.attempts) == (Outcome.KEPT, 200, 2)
    assert (found.content_type, found.retry_after_s) == ("image/x", 1.0)
    assert found.seconds >= found.waited_s >= 1
    assert not found.may_pass
