"""One contract of streams of events, over JetStream and over the double that unit tests use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from chart_harness.waiting import until
from iot_system.adapters.nats import events
from iot_system.adapters.nats.connection import Client
from iot_system.adapters.nats.events import EVENTS, NatsLog
from iot_system.adapters.nats.stream import NatsStream
from iot_system.errors import Unavailable
from iot_system.ports.events import Log, LogLost, LogReader
from iot_system.services.streams import make_streams
from iot_system.settings import StreamSettings

from tests.harness.collecting import collect
from tests.harness.nats import NatsServer, connected, running_cluster, running_nats
from tests.unit.services.memory_log import MemoryLog

DEADLINE_S = 20.0
SETTINGS = StreamSettings(partitions=4)


class Written(Protocol):
    """A log and its writer."""

    @property
    def log(self) -> Log: ...

    async def append(self, data: bytes) -> None: ...
    async def drop(self, up_to: int) -> None: ...
    async def replace(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.log = MemoryLog()

    async def append(self, data: bytes) -> None:
        self.log.append(data)

    async def drop(self, up_to: int) -> None:
        self.log.drop(up_to)

    async def replace(self) -> None:
        self.log.replace()


class InJetStream:
    """Written to by four partitions in turn."""

    def __init__(self, server: NatsServer, client: Client) -> None:
        self._server = server
        self.log = NatsLog(client, EVENTS, partitions=SETTINGS.partitions)
        self._jetstream = client.jetstream()
        self._stream = NatsStream(client, SETTINGS)
        self._count = 0

    async def append(self, data: bytes) -> None:
        self._count += 1
        await self._stream.publish_events(self._count % SETTINGS.partitions, data, message_id=str(self._count))

    async def drop(self, up_to: int) -> None:
        await self._jetstream.purge_stream(EVENTS, seq=up_to + 1)

    async def replace(self) -> None:
        await self._jetstream.delete_stream(EVENTS)
        await make_streams(self._server.settings(), SETTINGS)


@pytest.fixture(params=["memory", "jetstream"])
async def written(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Written]:
    if request.param == "memory":
        yield InMemory()
        return
    async with running_nats(tmp_path) as server, connected(server) as client:
        await make_streams(server.settings(), SETTINGS)
        yield InJetStream(server, client)


async def read(reader: LogReader, count: int) -> list[tuple[int, bytes]]:
    """So many messages, within the deadline."""
    return await collect(partial(reader.fetch, wait_s=1), count, within_s=DEADLINE_S)


async def test_what_is_appended_is_read_in_order_from_behind_a_position(written: Written) -> None:
    assert await written.log.end() == 0
    for number in range(1, 6):
        await written.append(str(number).encode())
    assert await written.log.end() == 5
    reader = written.log.read(2)
    assert await read(reader, 3) == [(3, b"3"), (4, b"4"), (5, b"5")]
    coming = asyncio.create_task(read(reader, 1))
    await written.append(b"6")
    assert await coming == [(6, b"6")]
    assert await reader.fetch(wait_s=0.2) == []
    await reader.close()


async def test_what_was_dropped_is_left_out(written: Written) -> None:
    for number in range(1, 6):
        await written.append(str(number).encode())
    await written.drop(3)
    reader = written.log.read(1)
    assert await read(reader, 2) == [(4, b"4"), (5, b"5")]
    assert await written.log.end() == 5
    await reader.close()


async def test_another_stream_under_the_same_name_is_told_as_lost(written: Written) -> None:
    await written.append(b"1")
    reader = written.log.read(0)
    assert await read(reader, 1) == [(1, b"1")]
    await written.replace()

    async def lost() -> bool:
        try:
            await reader.fetch(wait_s=1)
        except LogLost:
            return True
        except Unavailable:
            return False
        return False

    async with asyncio.timeout(DEADLINE_S):
        while not await lost():
            pass
    await reader.close()
    await written.append(b"new")
    again = written.log.read(0)
    assert await read(again, 1) == [(1, b"new")]
    await again.close()


async def test_many_read_one_stream_each_for_itself(written: Written) -> None:
    for number in range(1, 301):
        await written.append(str(number).encode())
    readers = [written.log.read(after) for after in (0, 100, 299)]
    counts = [len(await read(reader, wanted)) for reader, wanted in zip(readers, (300, 200, 1), strict=True)]
    assert counts == [300, 200, 1]
    for reader in readers:
        await reader.close()


async def test_a_stream_that_nobody_made_yet_is_not_available(api: Client) -> None:
    log = NatsLog(api, EVENTS, partitions=SETTINGS.partitions)
    with pytest.raises(Unavailable, match="stream IOT_EVENTS does not exist; `iot-system streams` makes it"):
        await log.end()


async def test_the_one_server_is_believed_that_it_has_lost_what_was_read(server: NatsServer, api: Client) -> None:
    await make_streams(server.settings(), SETTINGS)
    reader = NatsLog(api, EVENTS, partitions=SETTINGS.partitions).read(3)
    with pytest.raises(LogLost, match="ends at 0, but 3 was read"):
        await reader.fetch(wait_s=1)
    await reader.close()


@pytest.fixture
async def replicated(tmp_path: Path) -> AsyncIterator[InJetStream]:
    """A stream that three servers have, each of which might be behind the others for a while."""
    async with running_cluster(tmp_path) as cluster:
        first, *_ = cluster.servers
        async with asyncio.timeout(60):
            await make_streams(first.settings(), StreamSettings(partitions=4, replicas=3))
        async with connected(first) as client:
            yield InJetStream(first, client)


async def is_believed(reader: LogReader) -> bool:
    """Whether what was read is lost; that the server is behind is told as something that passes."""
    with pytest.raises(Unavailable, match="was read") as told:
        await reader.fetch(wait_s=0.1)
    return isinstance(told.value, LogLost)


async def test_one_of_several_is_believed_once_the_others_had_time_to_tell(
    replicated: InJetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = replicated.log.read(1)
    assert not await is_believed(reader)
    for data in (b"1", b"2"):
        await replicated.append(data)
    assert await read(reader, 1) == [(2, b"2")]
    await reader.close()

    reader = replicated.log.read(3)
    began_s = asyncio.get_running_loop().time()
    assert not await is_believed(reader)
    monkeypatch.setattr(events, "BEHIND_S", 1.0)
    await until(partial(is_believed, reader), within_s=DEADLINE_S, why="a loss is never told")
    assert asyncio.get_running_loop().time() - began_s >= events.BEHIND_S
    await reader.close()


async def test_who_comes_with_a_position_is_known_again_once_the_others_had_time_to_tell(
    replicated: InJetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = asyncio.create_task(replicated.log.reaches(1))
    await replicated.append(b"1")
    assert await told
    monkeypatch.setattr(events, "BEHIND_S", 1.0)
    assert not await replicated.log.reaches(2)
