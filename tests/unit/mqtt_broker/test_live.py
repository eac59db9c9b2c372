"""The reader of a process's subscriptions, over a log whose readers do not end when they are cancelled.

No server can be made to do so: before Python 3.12 it happens when an answer and the cancellation come together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from iot_system.adapters.mqtt.broker.live import Live
from iot_system.ports.broker import Message, Stored

DEADLINE_S = 20.0


class StubbornReader:
    """Swallows its first cancellation and goes on; has a message at each `say`."""

    def __init__(self) -> None:
        self._said = asyncio.Event()

    def say(self) -> None:
        self._said.set()

    async def fetch(self, limit: int, *, wait_s: float) -> list[Stored]:
        try:
            await self._said.wait()
        except asyncio.CancelledError:
            await self._said.wait()
        self._said.clear()
        return [Stored(1, Message("app/a", b"1"))]


class StubbornLog:
    """Its readers are what they are."""

    def __init__(self) -> None:
        self.readers: asyncio.Queue[StubbornReader] = asyncio.Queue()

    async def last(self) -> int:
        return 0

    def uncovered(self, filters: Sequence[str], by: Sequence[str]) -> list[str]:
        return [one for one in filters if one not in by]

    @asynccontextmanager
    async def read(self, filters: Sequence[str], *, after: int) -> AsyncIterator[StubbornReader]:
        reader = StubbornReader()
        self.readers.put_nowait(reader)
        yield reader


async def test_a_reader_that_does_not_end_holds_up_no_new_one_and_hands_on_nothing() -> None:
    log, found = StubbornLog(), list[Stored]()
    live = Live(log, found.extend, lambda head: None)  # type: ignore[arg-type]
    async with asyncio.timeout(DEADLINE_S):
        await live.want(["app/a"])
        first = await log.readers.get()
        resting = asyncio.create_task(live.rest())
        await asyncio.sleep(0)
        await live.want(["app/b"])
        second = await log.readers.get()
        first.say()
        await resting
        assert found == []
        await live.want(["app/c"])
        third = await log.readers.get()
        second.say()
        resting = asyncio.create_task(live.rest())
        await asyncio.sleep(0)
        third.say()
        await resting
    assert found == []
