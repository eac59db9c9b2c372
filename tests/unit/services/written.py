"""Writers over a stream in memory, what they are given, and what the stream has then."""

from __future__ import annotations

import asyncio

from iot_system.domain.frames import DeviceFrame, decode_frame
from iot_system.domain.readings import Telemetry
from iot_system.domain.signals import Reported
from iot_system.services.bundling import Bundling
from iot_system.services.writer import PartitionWriter, Room

from tests.unit.services.memory_stream import MemoryStream

DEADLINE_S = 60.0


def said(number: int, text: str = "") -> Telemetry:
    return Telemetry("d", number, {"t": text or number})


def reported(number: int) -> Reported:
    return Reported("d", {"n": number}, number)


def frames(stream: MemoryStream) -> list[list[int]]:
    decoded = [decode_frame(message.data) for message in stream.log]
    return [[one.time_us for one in frame.messages] for frame in decoded if isinstance(frame, DeviceFrame)]


class Held:
    """Publishes wait until released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.started = 0

    async def __call__(self, partition: int, data: bytes) -> None:
        self.started += 1
        await self.released.wait()


def writer_to(stream: MemoryStream, counted: list[int] | None = None, room: Room | None = None) -> PartitionWriter:
    return PartitionWriter(0, Bundling(stream), (counted if counted is not None else []).append, room or Room())
