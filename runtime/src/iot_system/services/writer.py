"""Frames for one partition, with self-clocking flow control: sent at once when idle, growing while one is in flight."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from uuid import uuid4

import structlog

from iot_system.domain.frames import FRAME_MESSAGES, DeviceFrame, encode_frame
from iot_system.domain.readings import Telemetry
from iot_system.errors import IotError, Overloaded, TooLarge, Unavailable
from iot_system.ports.stream import Stream

QUEUE_MESSAGES_LIMIT = 50_000
PUBLISH_FOR_S = 15.0
"""How long a frame is tried again before its senders hear that it is not stored."""
RETRY_S = 0.2
log = structlog.get_logger()

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
        """Return when nothing waits any more; cancelled, give up what still does, and tell its senders."""
        try:
            while self._sender is not None:
                await asyncio.wait([self._sender])
        except asyncio.CancelledError:
            if self._sender is not None:
                self._sender.cancel()
            raise

    async def _send_all(self) -> None:
        parcels: list[Parcel] = []
        try:
            while self._parcels:
                parcels = self._next_parcels()
                try:
                    await self._send(parcels)
                except Exception:
                    log.exception("a frame failed", partition=self._partition)
                    _tell(parcels, Unavailable("the gateway failed to store a frame; its log says why"))
                self._queued -= sum(len(messages) for messages, _ in parcels)
        except asyncio.CancelledError:
            waiting = (*parcels, *self._parcels)
            cut = [(parcel, stored) for parcel, stored in waiting if not stored.done() or stored.cancelled()]
            log.warning("messages cut", partition=self._partition, messages=sum(len(messages) for messages, _ in cut))
            self._parcels.clear()
            _tell(cut, Unavailable("the gateway stops before the broker has answered"))
            raise
        finally:
            self._sender = None

    def _next_parcels(self) -> list[Parcel]:
        parcels, count = [self._parcels.popleft()], 0
        while self._parcels and (count := count + len(parcels[-1][0])) < FRAME_MESSAGES:
            parcels.append(self._parcels.popleft())
        return parcels

    async def _send(self, parcels: list[Parcel]) -> None:
        """Publish as one frame, or as several where the broker's limit demands it, and tell each sender its outcome."""
        messages = [message for parcel, _ in parcels for message in parcel]
        data = encode_frame(DeviceFrame(messages))
        if len(data) > self._stream.frame_limit and len(parcels) > 1:
            # Between parcels first: what is too large harms its own sender only.
            half = len(parcels) // 2
            await self._send(parcels[:half])
            await self._send(parcels[half:])
            return
        _tell(parcels, await self._store(messages, data))

    async def _store(self, messages: list[Telemetry], data: bytes) -> IotError | None:
        """Publish one parcel or several that fit; None when all is durable."""
        if len(data) > self._stream.frame_limit and len(messages) > 1:
            half = len(messages) // 2
            for part in (messages[:half], messages[half:]):
                if problem := await self._store(part, encode_frame(DeviceFrame(part))):
                    return problem
            return None
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


def _tell(parcels: list[Parcel], outcome: IotError | None) -> None:
    """Tell the senders that do not know yet."""
    for _, stored in parcels:
        if not stored.done():
            stored.set_result(outcome)
