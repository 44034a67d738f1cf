"""Fetching runs on uvloop where there is one, as asyncio.run would."""

import asyncio

import pytest
import uvloop

from tasks.ingestion.loop import run


async def kind_of_loop() -> type[asyncio.AbstractEventLoop]:
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop())


def test_a_coroutine_runs_on_uvloop_and_its_result_comes_back() -> None:
    assert run(kind_of_loop()) is uvloop.Loop


def test_what_a_coroutine_raises_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("said so")

    with pytest.raises(ValueError, match="said so"):
        run(fail())
