"""A connection's feed of events, where the order of what happens in it counts: no server can be made to keep to one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from iot_system.adapters.mqtt.event_feed import EventFeed
from iot_system.errors import NotFound
from iot_system.ports.broker import Subscription
from iot_system.ports.gateway import Principal

TWIN = Subscription("v1/rooms/lab/twin", 1)
ALERTS = Subscription("v1/rooms/lab/alert", 1)


class Held:
    """Events and rooms whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.questions = 0
        self.answers = asyncio.Semaphore(0)
        self.left = 0

    async def listen(self, *_: object, **__: object) -> Held:
        await self._answer()
        return self

    async def get(self, id_: str) -> Any:
        await self._answer()
        raise NotFound(f"nothing was ever heard of room {id_!r}")

    def close(self) -> None:
        pass

    async def leave(self) -> None:
        self.left += 1

    async def _answer(self) -> None:
        self.questions += 1
        self.asked.release()
        await self.answers.acquire()


def feed_of(held: Held) -> EventFeed:
    gateway = SimpleNamespace(events=held, rooms=held, now_us=lambda: 0)
    member = SimpleNamespace(events="", subscriptions={one.name: one for one in (TWIN, ALERTS)})
    return EventFeed(gateway, Principal("viewer", "me"), member, lambda why: None)  # type: ignore[arg-type]


async def test_a_subscription_that_was_under_way_when_the_connection_ended_listens_to_nothing() -> None:
    held = Held()
    feed = feed_of(held)
    async with asyncio.timeout(5):
        following = asyncio.create_task(feed.follow([ALERTS]))
        await held.asked.acquire()
        await feed.stop()
        held.answers.release()
        await following
    assert held.left == 1
    assert feed._pump is None


async def test_however_often_a_twin_is_subscribed_to_there_is_one_question_at_a_time() -> None:
    held = Held()
    feed = feed_of(held)
    for _ in range(1000):
        feed.give_current([TWIN])
    async with asyncio.timeout(5):
        await held.asked.acquire()
        assert held.questions == 1
        for _ in range(1000):
            feed.give_current([TWIN])
        held.answers.release()
        await held.asked.acquire()
        held.answers.release()
        assert feed._giving is not None
        await feed._giving
    assert held.questions == 2
    await feed.stop()
