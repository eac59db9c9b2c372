"""How full the streams are, against a real nats-server, asked as an API pod."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from chart_harness.waiting import until
from iot_system.adapters.nats.connection import Client
from iot_system.adapters.nats.permissions import API
from iot_system.adapters.nats.stream import STREAM, NatsStream
from iot_system.adapters.nats.usage import NatsStreams
from iot_system.errors import Unavailable
from iot_system.services.streams import make_streams
from iot_system.settings import StreamSettings
from msgspec.structs import replace

from tests.harness.nats import NatsServer, connected, running_cluster

SETTINGS = StreamSettings(partitions=4, max_bytes=4 << 20, events_max_bytes=2 << 20)


async def test_streams_tell_their_bytes_their_limits_and_how_old_their_oldest_message_is(
    server: NatsServer, api: Client, actor_system: Client
) -> None:
    assert await NatsStreams(api).usage() == []
    await make_streams(server.settings(), SETTINGS)
    stream = NatsStream(actor_system, SETTINGS)
    identity = await stream.identity()
    empty = {one.stream: one for one in await NatsStreams(api).usage()}
    assert {name: one.limit for name, one in empty.items()} == {
        STREAM: 4 << 20,
        "IOT_EVENTS": 2 << 20,
        "IOT_READINGS": 32 << 20,
        "IOT_MESSAGES": 256 << 20,
        "IOT_RETAINED": 64 << 20,
        "IOT_SESSIONS": 256 << 20,
    }
    assert (empty[STREAM].bytes, empty[STREAM].oldest_us) == (0, None)

    before_us = time.time_ns() // 1000
    sequences = [await stream.publish(0, bytes(1000), message_id=str(number)) for number in range(2)]
    frames, *_ = await NatsStreams(api).usage()
    assert frames.bytes > 2000
    assert frames.oldest_us is not None
    assert before_us - 1 <= frames.oldest_us <= time.time_ns() // 1000

    await stream.trim({0: sequences[0]}, stream_id=identity)
    later, *_ = await NatsStreams(api).usage()
    assert later.bytes < frames.bytes
    assert later.oldest_us is not None
    assert later.oldest_us > frames.oldest_us


async def test_a_broker_that_is_away_tells_nothing(server: NatsServer, api: Client) -> None:
    server.kill()
    with pytest.raises(Unavailable, match="how full"):
        await NatsStreams(api).usage()


async def test_a_broker_without_a_majority_tells_nothing(tmp_path: Path) -> None:
    """What is left of it answers, and does not know."""
    async with AsyncExitStack() as opened:
        first, *others = (await opened.enter_async_context(running_cluster(tmp_path))).servers
        async with asyncio.timeout(60):
            await make_streams(first.settings(), replace(SETTINGS, replicas=3))
        streams = NatsStreams(await opened.enter_async_context(connected(first, API)))

        async def told() -> bool:
            try:
                return bool(await streams.usage())
            except Unavailable:
                return False

        async def silent() -> bool:
            return not await told()

        await until(told, within_s=60, why="the servers do not tell")
        for server in others:
            server.kill()
        await until(silent, within_s=60, why="one of three servers still speaks for all")
        with pytest.raises(Unavailable, match="how full"):
            await streams.usage()
