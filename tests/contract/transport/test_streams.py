"""The streams of frames, of events and of readings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import pytest
from iot_system.ports.events import Log
from iot_system.ports.stream import StreamLost, StreamMessage

from tests.contract.transport.conftest import PARTITIONS, Transport
from tests.harness.collecting import collect

DEADLINE_S = 60.0


async def publish(transport: Transport, partition: int, *texts: str) -> list[int]:
    return [await transport.stream.publish(partition, text.encode(), message_id=text) for text in texts]


async def read(transport: Transport, positions: Mapping[int, int], count: int) -> list[StreamMessage]:
    """The first ``count`` messages behind ``positions``, and there are no more."""
    async with transport.stream.read(positions, stream_id=transport.stream_id) as reader, asyncio.timeout(DEADLINE_S):
        found = await collect(partial(reader.fetch, 16, wait_s=1), count, within_s=DEADLINE_S)
        return found + await reader.fetch(16, wait_s=0.1)


async def log_of(log: Log, count: int) -> list[bytes]:
    """The first ``count`` messages."""
    reader = log.read(0)
    found = await collect(partial(reader.fetch, wait_s=1), count, within_s=DEADLINE_S)
    await reader.close()
    return [data for _, data in found]


async def test_frames_come_in_their_order_from_behind_each_position(transport: Transport) -> None:
    one = await publish(transport, 1, "a", "b", "c")
    await publish(transport, 2, "x")
    await publish(transport, 5, "not asked for")
    assert one == sorted(one)
    found = await read(transport, {1: one[0], 2: 0}, 3)
    assert [(one.partition, one.data) for one in found] == [(1, b"b"), (1, b"c"), (2, b"x")]
    assert [message.sequence for message in found[:2]] == one[1:]


async def test_a_message_published_again_under_its_id_is_there_once(transport: Transport) -> None:
    stream = transport.stream
    first = await stream.publish(1, b"frame", message_id="same")
    assert await stream.publish(1, b"frame", message_id="same") == first
    for _ in range(2):
        await stream.publish_events(1, b"event", message_id="another")
    await stream.publish_events(1, b"last", message_id="last")
    assert len(await read(transport, {1: 0}, 1)) == 1
    assert await log_of(transport.events, 2) == [b"event", b"last"]


async def test_a_fetch_returns_as_soon_as_something_comes_and_with_nothing_at_its_deadline(
    transport: Transport,
) -> None:
    async with transport.stream.read(dict.fromkeys(range(PARTITIONS), 0), stream_id=transport.stream_id) as reader:
        assert await reader.fetch(16, wait_s=0.1) == []
        fetching = asyncio.create_task(reader.fetch(16, wait_s=60))
        await publish(transport, 0, "now")
        async with asyncio.timeout(DEADLINE_S):
            assert [message.data for message in await fetching] == [b"now"]


async def test_what_is_trimmed_is_gone_what_somebody_needs_stays(transport: Transport) -> None:
    one, two = await publish(transport, 1, "a", "b"), await publish(transport, 2, "x", "y")
    await transport.stream.trim({1: one[1], 2: two[0]}, stream_id=transport.stream_id)
    assert [message.data for message in await read(transport, {1: 0, 2: 0}, 1)] == [b"y"]


async def test_positions_beyond_the_end_or_of_another_stream_are_told(transport: Transport) -> None:
    (last,) = await publish(transport, 1, "a")
    stream = transport.stream
    await stream.verify(transport.stream_id, reached=last)
    for stream_id, reached in ((transport.stream_id, last + 1), ("another", last)):
        with pytest.raises(StreamLost):
            await stream.verify(stream_id, reached=reached)
        with pytest.raises(StreamLost):
            await stream.trim({1: reached}, stream_id=stream_id)
        with pytest.raises(StreamLost):
            async with stream.read({1: reached}, stream_id=stream_id) as reader:
                await reader.fetch(16, wait_s=1)
    assert await stream.follow(transport.stream_id, reached=last) == transport.stream_id
    assert await stream.follow(transport.stream_id, reached=last + 1) != transport.stream_id


async def test_events_of_all_partitions_are_one_log_in_its_order(transport: Transport) -> None:
    texts = [b"%d" % number for number in range(30)]
    for number, text in enumerate(texts):
        await transport.stream.publish_events(number % PARTITIONS, text, message_id=f"{number}")
    assert await log_of(transport.events, len(texts)) == texts
    assert await transport.events.end() == len(texts)
    assert await transport.readings.end() == 0


async def test_events_are_overheard_on_their_way_by_partition_until_that_ends(transport: Transport) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    end = await transport.events.overhear(3, heard.put_nowait)
    await transport.events.end()  # asked behind the subscription: the broker has that, too
    for number, partition in enumerate((3, 2, 3)):
        await transport.stream.publish_events(partition, b"%d" % number, message_id=str(number))
    async with asyncio.timeout(DEADLINE_S):
        assert [await heard.get(), await heard.get()] == [b"0", b"2"]
    await end()
    await transport.stream.publish_events(3, b"3", message_id="3")
    assert await log_of(transport.events, 4) == [b"0", b"1", b"2", b"3"]
    assert heard.empty()


async def test_readings_reach_those_who_listen(transport: Transport) -> None:
    for number in range(30):
        await transport.stream.publish_readings(number % PARTITIONS, b"%d" % number)
    assert await log_of(transport.readings, 30) == [b"%d" % number for number in range(30)]
    assert await transport.events.end() == 0
