"""The loop of many processes: order within one, none between them, and processes that stand still or die."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from tests.simulation.processes import Process
from tests.simulation.seeded_loop import SeededLoop, Stuck


@pytest.fixture
def loop() -> Iterator[SeededLoop]:
    loop = SeededLoop(random.Random(1), longest_s=1000, most_steps=10_000)
    yield loop
    loop.end()


def run(loop: SeededLoop, work: Coroutine[Any, Any, None]) -> None:
    loop.run_until_complete(work)


async def say(said: list[str], *words: str) -> None:
    for word in words:
        said.append(word)
        await asyncio.sleep(0)


def test_within_a_process_order_is_kept_between_processes_the_seed_decides() -> None:
    orders = set()
    for seed in range(10):
        loop, said = SeededLoop(random.Random(seed), longest_s=10, most_steps=1000), list[str]()
        one, other = Process("one"), Process("other")
        tasks = [loop.spawn(one, say(said, "a", "b", "c")), loop.spawn(other, say(said, "1", "2", "3"))]
        run(loop, asyncio.wait_for(asyncio.gather(*tasks), 5))  # type: ignore[arg-type]
        loop.end()
        assert [word for word in said if word.isalpha()] == ["a", "b", "c"]
        assert [word for word in said if word.isdigit()] == ["1", "2", "3"]
        orders.add("".join(said))
    assert len(orders) > 3


def test_what_a_task_starts_belongs_to_its_process_and_stands_still_with_it(loop: SeededLoop) -> None:
    process, said = Process("one"), list[float]()

    async def wait() -> None:
        await asyncio.sleep(1)
        said.append(loop.time())

    async def begin() -> None:
        await asyncio.gather(*[asyncio.create_task(wait()) for _ in range(2)])

    async def freeze() -> None:
        task = loop.spawn(process, begin())
        await asyncio.sleep(0.5)
        loop.freeze(process)
        await asyncio.sleep(10)
        assert said == []
        loop.thaw(process)
        await task

    run(loop, freeze())
    assert said == [10.5, 10.5]


def test_who_is_killed_does_nothing_more_not_even_what_cleans_up(loop: SeededLoop) -> None:
    process, said = Process("one"), list[str]()

    async def work() -> None:
        try:
            said.append("begins")
            await asyncio.sleep(1)
        finally:
            said.append("cleans up")

    async def kill() -> None:
        loop.spawn(process, work())
        await asyncio.sleep(0.5)
        loop.kill(process)
        await asyncio.sleep(10)

    run(loop, kill())
    assert said == ["begins"]


def test_time_jumps_to_the_next_timer(loop: SeededLoop) -> None:
    run(loop, asyncio.sleep(500))
    assert loop.time() == 500


@pytest.mark.parametrize("for_ever", [asyncio.Event().wait, lambda: asyncio.sleep(2000)])
def test_what_never_ends_is_told(loop: SeededLoop, for_ever: Any) -> None:
    with pytest.raises(Stuck):
        run(loop, for_ever())
