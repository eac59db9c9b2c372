"""Frames straight into the stream, as gateways publish them: per partition one in flight, 500 messages in each.

What a gateway does before that is left out: connections, JSON, checks, and who may say what.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import msgspec
from iot_system.adapters.nats.connection import connect as connect_to_broker
from iot_system.adapters.nats.connection import disconnect
from iot_system.adapters.nats.stream import NatsStream
from iot_system.domain.frames import FRAME_MESSAGES, DeviceFrame, encode_frame
from iot_system.domain.ids import partition_of
from iot_system.domain.readings import Telemetry
from iot_system.ports.stream import Stream
from iot_system.settings import BrokerSettings, StreamSettings

from bench.senders.orders import Order
from bench.workload import Workload, device

PARTITIONS = StreamSettings().partitions


class FrameSender:
    """Implements `bench.senders.sender.Sender`."""

    def __init__(self, stream: Stream, frames: Sequence[Sequence[bytes]]) -> None:
        self._stream = stream
        self._frames = frames

    async def send(self) -> None:
        """See `bench.senders.sender.Sender.send`."""
        async with asyncio.TaskGroup() as tasks:
            for partition, frames in enumerate(self._frames):
                tasks.create_task(self._publish(partition, frames))

    async def _publish(self, partition: int, frames: Sequence[bytes]) -> None:
        for data in frames:
            await self._stream.publish(partition, data, message_id=uuid4().hex)


@contextlib.asynccontextmanager
async def connect(order: Order) -> AsyncIterator[FrameSender]:
    """Encode all frames, and connect to the broker; there are no passwords."""
    client = await connect_to_broker(BrokerSettings(urls=f"nats://127.0.0.1:{order.port}"), name="bench")
    try:
        yield FrameSender(NatsStream(client, StreamSettings()), frames_of(order.workload))
    finally:
        await disconnect(client)


def frames_of(workload: Workload) -> list[list[bytes]]:
    """The frames of each partition, its devices' messages side by side in their order."""
    by_partition: list[list[int]] = [[] for _ in range(PARTITIONS)]
    for number in range(workload.devices):
        by_partition[partition_of(device(number), PARTITIONS)].append(number)
    return [_frames(workload, numbers) for numbers in by_partition]


def _frames(workload: Workload, numbers: Sequence[int]) -> list[bytes]:
    messages = [
        _telemetry(device(number), payload)
        for at_once in zip(*(workload.payloads(number) for number in numbers), strict=True)
        for number, payload in zip(numbers, at_once, strict=True)
    ]
    chunks = [messages[start : start + FRAME_MESSAGES] for start in range(0, len(messages), FRAME_MESSAGES)]
    return [encode_frame(DeviceFrame(chunk)) for chunk in chunks]


def _telemetry(id_: str, payload: bytes) -> Telemetry:
    told = msgspec.json.decode(payload)
    return Telemetry(id_, told["ts"] * 1000, told["values"])
