"""Bodies in memory stay below the limit and one largest body, and no order of them stops any."""

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st

from tasks.ingestion.fetching.budget import Budget, Hold


async def settled(task: "asyncio.Task[None]") -> bool:
    """Let everything run that can, and say whether the task has ended."""
    for _ in range(5):
        await asyncio.sleep(0)
    return task.done()


def test_a_body_waits_until_what_it_needs_is_given_back() -> None:
    async def run() -> None:
        budget = Budget(100)
        first, second = Hold(budget), Hold(budget)
        await first.cover(70)
        first.settle(60)
        assert budget.used == 60
        waiting = asyncio.create_task(second.cover(41))
        assert not await settled(waiting)
        first.release()
        assert await settled(waiting)
        assert budget.used == 41
        first.release()  # a second time
        assert budget.used == 41

    asyncio.run(run())


def test_a_body_larger_than_the_limit_comes_alone() -> None:
    async def run() -> None:
        budget = Budget(100)
        small, large = Hold(budget), Hold(budget)
        await small.cover(1)
        small.settle(1)
        waiting = asyncio.create_task(large.cover(500))
        assert not await settled(waiting)
        small.release()
        assert await settled(waiting)
        assert budget.used == 500

    asyncio.run(run())


def test_small_bodies_do_not_keep_a_large_one_out() -> None:
    async def run() -> None:
        budget = Budget(100)
        there, large, small = Hold(budget), Hold(budget), Hold(budget)
        await there.cover(50)
        there.settle(50)
        first = asyncio.create_task(large.cover(60))
        assert not await settled(first)
        second = asyncio.create_task(small.cover(10))
        assert not await settled(second)  # it would fit, but came later
        there.release()
        assert await settled(first)
        assert await settled(second)

    asyncio.run(run())


def test_bodies_that_all_grow_at_once_still_end_one_after_another() -> None:
    async def run() -> None:
        budget = Budget(100)
        eldest, younger = Hold(budget), Hold(budget)
        await eldest.cover(50)
        await younger.cover(50)
        waiting = asyncio.create_task(younger.cover(60))
        assert not await settled(waiting)
        await eldest.cover(120)  # over the limit, for nobody else can end
        assert budget.used == 170
        eldest.settle(120)
        assert not await settled(waiting)  # what is whole will be released
        eldest.release()
        assert await settled(waiting)

    asyncio.run(run())


def test_a_body_that_is_given_up_while_it_waits_leaves_the_queue() -> None:
    async def run() -> None:
        budget = Budget(100)
        there, gone, behind = Hold(budget), Hold(budget), Hold(budget)
        await there.cover(90)
        there.settle(90)
        first = asyncio.create_task(gone.cover(80))
        assert not await settled(first)
        second = asyncio.create_task(behind.cover(10))
        assert not await settled(second)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        gone.release()
        assert await settled(second)
        there.release()
        behind.release()
        assert budget.used == 0

    asyncio.run(run())


@given(
    st.lists(st.lists(st.integers(1, 70), min_size=1, max_size=5), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_whatever_bodies_come_all_end_within_the_bound(
    growths: list[list[int]], dice: random.Random
) -> None:
    budget = Budget(100)
    largest = max(map(sum, growths))
    seen = []

    async def body(steps: list[int]) -> None:
        hold = Hold(budget)
        size = 0
        try:
            for step in steps:
                size += step
                await hold.cover(size)
                seen.append(budget.used)
                for _ in range(dice.randrange(4)):
                    await asyncio.sleep(0)
                if dice.random() < 0.1:
                    return  # its server left
            hold.settle(size)
            await asyncio.sleep(0)
        finally:
            hold.release()

    async def run() -> None:
        async with asyncio.timeout(20):
            await asyncio.gather(*map(body, growths))

    asyncio.run(run())
    assert budget.used == 0
    assert max(seen) <= 100 + largest
