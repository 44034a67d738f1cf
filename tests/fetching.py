"""Addresses fetched by one client, as ingestion fetches them, with limits that end soon."""

import asyncio
from collections.abc import Sequence

from tasks.ingestion.fetching.fetch import Fetcher
from tasks.ingestion.fetching.fetched import Fetched
from tasks.ingestion.loop import run
from tasks.ingestion.settings import Ingestion
from tests.web import Answer, web

BODY = b"no picture, but bytes"
OPENED = ("127.0.0.1",)


def quick(**other: object) -> Ingestion:
    given = {"timeout_s": 1.0, "retries": 0, "max_bytes": 50_021, "allow_private_hosts": OPENED}
    return Ingestion(**given | other)  # type: ignore[arg-type]


def fetched(urls: Sequence[str], how: Ingestion) -> list[Fetched]:
    """Fetch one address after another, as one client."""

    async def fetch_all() -> list[Fetched]:
        found = []
        async with Fetcher(how) as fetcher:
            for url in urls:
                async with fetcher.turn(url):
                    found.append(await fetcher.get(url))
        return found

    return run(fetch_all())


def one(answer: Answer, how: Ingestion | None = None) -> tuple[Fetched, int]:
    """Return what the answer to a single address became, and how often it was asked."""
    with web({"/x": answer}) as site:
        (found,) = fetched([f"{site.url}/x"], how or quick())
        return found, site.asked["/x"]


def fetched_together(urls: Sequence[str], how: Ingestion) -> list[Fetched]:
    """Fetch addresses at the same time, as one client."""

    async def fetch_all() -> list[Fetched]:
        async with Fetcher(how) as fetcher:

            async def get(url: str) -> Fetched:
                async with fetcher.turn(url):
                    return await fetcher.get(url)

            return await asyncio.gather(*map(get, urls))

    return run(fetch_all())
