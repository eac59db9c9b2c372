"""A shard that owns everything, a gateway, and somebody who looks into the database: what a test takes apart."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from iot_system.adapters.nats.connection import connect
from iot_system.adapters.nats.events import EVENTS, READINGS, NatsLog
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM
from iot_system.adapters.nats.requests import NatsRequests
from iot_system.adapters.nats.stream import NatsStream
from iot_system.adapters.sqlite.store import SqliteStore
from iot_system.domain.history import HistoryQuery
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device
from iot_system.ports.clock import SystemClock
from iot_system.ports.gateway import Principal
from iot_system.services.gateway import ActorGateway
from iot_system.services.hosting import RunningShard, start_shard
from iot_system.services.streams import make_streams
from iot_system.settings import ShardSettings, StreamSettings

from tests.harness.nats import NatsServer, running_nats

DEVICES = [f"device-{number}" for number in range(8)]
ROOM = "room"
SETTINGS = StreamSettings(partitions=4)


class Installation:
    """``trims_after_s``: how often a shard forgets what it has applied."""

    def __init__(self, server: NatsServer, folder: Path, *, trims_after_s: float) -> None:
        self.server = server
        self.folder = folder
        self.database = folder / "iot.db"
        self.settings = ShardSettings(
            broker=server.settings(ACTOR_SYSTEM),
            stream=SETTINGS,
            database_url=f"sqlite:///{self.database}",
            passivate_after_s=trims_after_s,
        )
        self.stream: NatsStream
        self.gateway: ActorGateway
        self.shard: RunningShard

    async def make_streams(self) -> None:
        """As the chart's job does."""
        await make_streams(self.server.settings(), SETTINGS)

    async def start_shard(self) -> None:
        """Return when it owns everything."""
        self.shard = await start_shard(self.settings, "shard", "node")
        await self.shard.claim(range(SETTINGS.partitions))

    async def register(self) -> None:
        """All devices, in one room."""
        for id_ in DEVICES:
            await self.gateway.create_device(Device(id=id_, room=ROOM))

    async def say(self, *times: int) -> None:
        """Each device has a reading at each time, in a frame of its own; returns when all are acknowledged."""
        for time in times:
            messages = [Telemetry(device, time, {"t": time}) for device in DEVICES]
            assert await self.gateway.ingest(Principal("admin", "admin"), messages) == [None] * len(messages)

    async def has(self, *times: int) -> bool:
        """Whether the database holds just these readings, and the room counts each of them once."""
        store = SqliteStore(str(self.database))
        await store.start()
        try:
            pages = [await store.readings(HistoryQuery(device=device)) for device in DEVICES]
            room = (await store.load_rooms([ROOM])).get(ROOM)
        finally:
            await store.stop()
        counted = room[1].metrics["t"].count if room and "t" in room[1].metrics else 0
        return counted == len(times) * len(DEVICES) and all(
            [one.time_us for one in page.items] == list(times) for page in pages
        )

    def copy_database(self) -> Path:
        """What a backup of it would hold. Nobody may use it meanwhile."""
        return Path(shutil.copy(self.database, self.folder / "backup.db"))

    def restore_database(self, backup: Path) -> None:
        """Nobody may use it meanwhile."""
        for left in self.folder.glob(f"{self.database.name}*"):
            left.unlink()
        shutil.copy(backup, self.database)

    async def empty_broker(self) -> None:
        """As one that has just been installed."""
        self.server.kill()
        shutil.rmtree(self.folder / "jetstream")
        await asyncio.to_thread(self.server.start)
        await self.make_streams()


@contextlib.asynccontextmanager
async def installed(folder: Path, *, trims_after_s: float = 1.0) -> AsyncIterator[Installation]:
    """For the time of a test; the devices are registered."""
    async with running_nats(folder) as server:
        one = Installation(server, folder, trims_after_s=trims_after_s)
        await one.make_streams()
        await one.start_shard()
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
        await one.register()
        yield one
        await one.gateway.stop()
        await client.close()
        await one.shard.stop()
