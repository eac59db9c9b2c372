"""Frames for one partition, with self-clocking flow control: sent at once when idle, growing while one is in flight."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from uuid import uuid4

from iot_system.domain.frames import FRAME_MESSAGES, DeviceFrame, encode_frame
from iot_system.domain.readings import Telemetry
from iot_system.errors import IotError, Overloaded, TooLarge, Unavailable
from iot_system.ports.stream import Stream

QUEUE_MESSAGES_LIMIT = 50_000
PUBLISH_FOR_S = 15.0
"""How long a frame is tried again before its senders hear that it is not stored."""
RETRY_S = 0.2

Parcel = tuple[list[Telemetry], asyncio.Future[IotError | None]]


class PartitionWriter:
    """Orders the messages of one partition: one publish in flight, the next frame takes what gathered meanwhile."""

    def __init__(self, partition: int, stream: Stream, on_frame: Callable[[int], None]) -> None:
        self._partition = partition
        self._stream = stream
        self._on_frame = on_frame
        self._parcels: deque[Parcel] = deque()
        self._queued = 0
        self._sender: asyncio.Task[None] | None = None

    def put(self, messages: list[Telemetry]) -> asyncio.Future[IotError | None]:
        """Queue ``messages`` behind all earlier ones; the future tells None once they are durable, or why not.

        Raises `Overloaded` where the queue is full.
        """
        if self._queued + len(messages) > QUEUE_MESSAGES_LIMIT:
            raise Overloaded(f"{self._queued} messages wait for partition {self._partition}; send more slowly")
        stored: asyncio.Future[IotError | None] = asyncio.get_running_loop().create_future()
        self._parcels.append((messages, stored))
        self._queued += len(messages)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all())
        return stored

    async def drain(self) -> None:
        """Return when nothing waits any more."""
        while self._sender is not None:
            await asyncio.wait([self._sender])

    async def _send_all(self) -> None:
        try:
            while self._parcels:
                parcels = self._next_parcels()
                messages = [message for parcel, _ in parcels for message in parcel]
                problem = await self._send(messages)
                self._queued -= len(messages)
                for _, stored in parcels:
                    if not stored.done():
                        stored.set_result(problem)
        finally:
            self._sender = None

    def _next_parcels(self) -> list[Parcel]:
        parcels, count = [self._parcels.popleft()], 0
        while self._parcels and (count := count + len(parcels[-1][0])) < FRAME_MESSAGES:
            parcels.append(self._parcels.popleft())
        return parcels

    async def _send(self, messages: list[Telemetry]) -> IotError | None:
        """Publish as one frame, or as several where the broker's limit demands it; None when all is durable."""
        data = encode_frame(DeviceFrame(messages))
        if len(data) > self._stream.frame_limit and len(messages) > 1:
            half = len(messages) // 2
            return await self._send(messages[:half]) or await self._send(messages[half:])
        try:
            await self._publish(data)
        except IotError as problem:
            return problem
        self._on_frame(len(messages))
        return None

    async def _publish(self, data: bytes) -> None:
        if len(data) > self._stream.frame_limit:
            raise TooLarge(f"a message has {len(data)} bytes; the limit is {self._stream.frame_limit}")
        message_id = uuid4().hex
        deadline = asyncio.get_running_loop().time() + PUBLISH_FOR_S
        while True:
            try:
                await self._stream.publish(self._partition, data, message_id=message_id)
            except Unavailable:
                if asyncio.get_running_loop().time() + RETRY_S > deadline:
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                return
