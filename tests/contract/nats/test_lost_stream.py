"""A stream that is lost under a running shard: what is acknowledged afterwards is applied nevertheless."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from iot_system.adapters.nats.connection import connect
from iot_system.adapters.nats.events import EVENTS, READINGS, NatsLog
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM
from iot_system.adapters.nats.requests import NatsRequests
from iot_system.adapters.nats.stream import STREAM, NatsStream
from iot_system.adapters.sqlite.store import SqliteStore
from iot_system.domain.history import HistoryQuery
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device
from iot_system.ports.clock import SystemClock
from iot_system.ports.gateway import Principal
from iot_system.services.gateway import ActorGateway
from iot_system.services.hosting import RunningShard, start_shard
from iot_system.settings import ShardSettings, StreamSettings

from tests.harness.nats import NatsServer, running_nats
from tests.harness.waiting import until

DEADLINE_S = 60.0
DEVICES = [f"device-{number}" for number in range(8)]
SETTINGS = StreamSettings(partitions=4)


class Installation:
    """A shard that owns everything, a gateway, and somebody who looks into the database."""

    def __init__(self, server: NatsServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.settings = ShardSettings(
            broker=server.settings(ACTOR_SYSTEM),
            stream=SETTINGS,
            database_url=f"sqlite:///{folder / 'iot.db'}",
            passivate_after_s=1.0,  # housekeeping as often: what is applied is trimmed soon
        )
        self.store = SqliteStore(str(folder / "iot.db"))
        self.stream: NatsStream
        self.gateway: ActorGateway
        self.shard: RunningShard

    async def say(self, *times: int) -> None:
        """Each device has a reading at each time; returns when all are acknowledged."""
        messages = [Telemetry(device, time, {"t": time}) for time in times for device in DEVICES]
        assert await self.gateway.ingest(Principal("admin", "admin"), messages) == [None] * len(messages)

    async def has(self, *times: int) -> bool:
        pages = [await self.store.readings(HistoryQuery(device=device)) for device in DEVICES]
        return all([one.time_us for one in page.items] == list(times) for page in pages)


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    async with running_nats(tmp_path) as server:
        one = Installation(server, tmp_path)
        one.shard = await start_shard(one.settings, "shard", "node")
        await one.shard.claim(range(SETTINGS.partitions))
        client = await connect(server.settings(), name="test")
        one.stream = NatsStream(client, SETTINGS)
        one.gateway = ActorGateway(
            one.stream,
            NatsRequests(client),
            SystemClock(),
            events=NatsLog(client, EVENTS, partitions=SETTINGS.partitions),
            readings=NatsLog(client, READINGS, partitions=SETTINGS.partitions),
            partitions=SETTINGS.partitions,
            admin_token=None,
        )
        await one.gateway.start()
        await one.store.start()
        yield one
        await one.store.stop()
        await one.gateway.stop()
        await client.close()
        await one.shard.stop()


async def deleted(one: Installation) -> None:
    await one.stream._jetstream.delete_stream(STREAM)


async def made_anew_by_another(one: Installation) -> None:
    await one.stream._jetstream.delete_stream(STREAM)
    await one.stream.ensure()


async def emptied_by_a_crash(one: Installation) -> None:
    """The broker believes it to be the same stream."""
    one.server.kill()
    (messages,) = one.folder.rglob(f"{STREAM}/msgs")
    shutil.rmtree(messages)
    await asyncio.to_thread(one.server.start)


@pytest.mark.parametrize("lost", [deleted, made_anew_by_another, emptied_by_a_crash])
async def test_what_is_acknowledged_after_the_stream_was_lost_is_applied(
    installation: Installation, lost: Callable[[Installation], Awaitable[None]]
) -> None:
    one = installation
    for id_ in DEVICES:
        await one.gateway.create_device(Device(id=id_))
    for time in range(1, 21):  # a frame each, so that new sequences are far below the old ones
        await one.say(time)
    await until(lambda: one.has(*range(1, 21)), within_s=DEADLINE_S)
    await lost(one)
    await one.say(21)
    await one.say(22)
    await until(lambda: one.has(*range(1, 23)), within_s=DEADLINE_S, why="acknowledged readings are not applied")
    await one.say(23)
    await until(lambda: one.has(*range(1, 24)), within_s=DEADLINE_S)
