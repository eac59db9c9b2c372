"""Retained messages against a real nats-server."""

from __future__ import annotations

import asyncio

from iot_system.adapters.nats.broker import NatsBroker
from iot_system.ports.broker import Message, Stored
from iot_system.ports.clock import SystemClock


async def find(broker: NatsBroker, *filters: str) -> list[tuple[str, bytes]]:
    found: list[Stored] = []
    async with broker.retained.read(filters, after=0) as reader:
        while not reader.is_at_end:
            found += await reader.fetch(16, wait_s=1)
    return [(one.message.topic, one.message.payload) for one in found if one.message.payload]


async def test_the_last_message_of_each_topic_is_kept(broker: NatsBroker) -> None:
    for sequence, (topic, payload) in enumerate([("app/a", b"1"), ("app/b", b"2"), ("app/a", b"3"), ("app/a/c", b"4")]):
        await broker.retained.put(Stored(sequence + 1, Message(topic, payload)))
    assert await find(broker, "app/+") == [("app/b", b"2"), ("app/a", b"3")]
    assert await find(broker, "app/a/#") == [("app/a", b"3"), ("app/a/c", b"4")]
    found = await broker.retained.of("app/a")
    assert found is not None
    assert (found.sequence, found.message.payload) == (3, b"3")
    assert await broker.retained.get([found.retained, found.retained + 100]) == [found, None]


async def test_an_empty_message_clears_a_topic(broker: NatsBroker) -> None:
    await broker.retained.put(Stored(1, Message("app/a", b"1")))
    await broker.retained.put(Stored(2, Message("app/a", b"")))
    assert await find(broker, "app/#") == []
    assert await broker.retained.of("app/a") is None


async def test_a_message_that_comes_late_changes_nothing(broker: NatsBroker) -> None:
    await broker.retained.put(Stored(3, Message("app/a", b"3")))
    await broker.retained.put(Stored(2, Message("app/a", b"2")))
    await broker.retained.put(Stored(5, Message("app/b", b"")))
    await broker.retained.put(Stored(4, Message("app/b", b"4")))
    assert await find(broker, "app/#") == [("app/a", b"3")]


async def test_of_many_at_once_the_newest_stays(broker: NatsBroker) -> None:
    await asyncio.gather(
        *(broker.retained.put(Stored(number, Message("app/a", b"%d" % number))) for number in range(1, 13))
    )
    assert await find(broker, "app/#") == [("app/a", b"12")]


async def test_a_message_is_forgotten_when_it_expires(broker: NatsBroker) -> None:
    expires_us = SystemClock().now_us() + 1_000_000
    await broker.retained.put(Stored(1, Message("app/a", b"1", expires_us=expires_us)))
    assert await find(broker, "app/#") == [("app/a", b"1")]
    async with asyncio.timeout(15):
        while await find(broker, "app/#"):
            pass
