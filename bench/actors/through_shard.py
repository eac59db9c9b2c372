"""Actors in a shard, which commits what they change: the whole way of a frame, with broker and database in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from iot_system.adapters.sqlite.store import SqliteStore
from iot_system.domain.frames import FRAME_MESSAGES, DeviceFrame, encode_frame
from iot_system.domain.ids import partition_of
from iot_system.domain.readings import Telemetry
from iot_system.ports.clock import SystemClock
from iot_system.services.shard import Shard

from bench.actors.registered import STREAM_ID, register
from tests.unit.services.memory_requests import MemoryRequests, Switchboard
from tests.unit.services.memory_stream import MemoryStream

PARTITIONS = 4
POLL_S = 0.002


class ShardUpdater:
    """Implements `bench.actors.updater.Updater`. Frames between actors, from devices to rooms, come on top."""

    def __init__(self, shard: Shard, stream: MemoryStream) -> None:
        self.shard = shard
        self._stream = stream

    async def update(self, messages: Sequence[Telemetry]) -> None:
        """See `bench.actors.updater.Updater.update`."""
        by_partition: dict[int, list[Telemetry]] = {}
        for message in messages:
            by_partition.setdefault(partition_of(message.device, PARTITIONS), []).append(message)
        last: dict[int, int] = {}
        for partition, own in by_partition.items():
            for start in range(0, len(own), FRAME_MESSAGES):
                data = encode_frame(DeviceFrame(own[start : start + FRAME_MESSAGES]))
                last[partition] = self._stream.append(partition, data)
        while True:
            if all(self.shard.partition(partition).applied >= sequence for partition, sequence in last.items()):
                return
            await asyncio.sleep(POLL_S)


@contextlib.asynccontextmanager
async def updater(devices: int) -> AsyncIterator[ShardUpdater]:
    """A shard that owns all partitions."""
    store, stream = SqliteStore(":memory:"), MemoryStream()
    stream.identity = STREAM_ID
    await store.start()
    await register(store, devices, partitions=PARTITIONS, metrics=0)
    shard = Shard(
        name="bench",
        node="bench",
        store=store,
        stream=stream,
        requests=MemoryRequests(Switchboard()),
        clock=SystemClock(),
        partitions=PARTITIONS,
        stream_id=STREAM_ID,
    )
    await shard.start()
    try:
        await shard.claim(range(PARTITIONS))
        yield ShardUpdater(shard, stream)
    finally:
        await shard.stop()
        await store.stop()
