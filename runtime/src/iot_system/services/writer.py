"""Frames for one partition, with self-clocking flow control: sent at once when idle, growing while one is in flight."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import structlog

from iot_system.domain.frames import FRAME_MESSAGES
from iot_system.domain.readings import Telemetry
from iot_system.domain.signals import Signal
from iot_system.errors import IotError, Overloaded, Unavailable
from iot_system.services.bundling import Bundling
from iot_system.services.framing import DEVICE, HEAD_BYTES, SIGNAL, Chunk, chunks_of, frame_of

QUEUE_MESSAGES_LIMIT = 50_000
QUEUE_BYTES_LIMIT = 64 * 1024 * 1024
PATIENCE_S = 0.01
"""How long what may wait does so for something to share its frame with."""
log = structlog.get_logger()


class Room:
    """The bytes that wait for the broker in one process, all partitions together."""

    def __init__(self, limit: int = QUEUE_BYTES_LIMIT) -> None:
        self._limit = limit
        self.bytes = 0

    def take(self, size: int) -> None:
        """Raises `Overloaded` where ``size`` more bytes would be beyond the limit."""
        if self.bytes + size > self._limit:
            raise Overloaded(f"{self.bytes} bytes wait for the broker; the limit is {self._limit}: send more slowly")
        self.bytes += size


class Parcel(msgspec.Struct):
    """What one sender put in one go, all telemetry or all signals; ``stored`` tells None once all is durable."""

    kind: bytes
    chunks: Sequence[Chunk]
    stored: asyncio.Future[IotError | None]

    @property
    def messages(self) -> int:
        return sum(chunk.messages for chunk in self.chunks)

    @property
    def bytes(self) -> int:
        return sum(len(chunk.data) for chunk in self.chunks)


class PartitionWriter:
    """Orders the messages of one partition: one publish in flight, the next frame takes what gathered meanwhile."""

    def __init__(self, partition: int, bundling: Bundling, on_frame: Callable[[int], None], room: Room) -> None:
        self._partition = partition
        self._bundling = bundling
        self._on_frame = on_frame
        self._room = room
        self._parcels: deque[Parcel] = deque()
        self._queued = 0
        self._sender: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None

    def put(
        self, messages: Sequence[Telemetry] | Sequence[Signal], *, may_wait: bool = False
    ) -> asyncio.Future[IotError | None]:
        """Queue ``messages``, all of one sort, behind all earlier ones; if they ``may_wait``, for `PATIENCE_S` at most.

        The future tells None once they are durable, or why not. Raises `Overloaded` where the queue is full.
        """
        if self._queued + len(messages) > QUEUE_MESSAGES_LIMIT:
            raise Overloaded(f"{self._queued} messages wait for partition {self._partition}; send more slowly")
        chunks = chunks_of(messages, self._bundling.frame_limit - HEAD_BYTES)
        stored: asyncio.Future[IotError | None] = asyncio.get_running_loop().create_future()
        parcel = Parcel(DEVICE if isinstance(messages[0], Telemetry) else SIGNAL, chunks, stored)
        self._room.take(parcel.bytes)
        self._parcels.append(parcel)
        self._queued += len(messages)
        if not may_wait:
            self._begin()
        elif self._sender is None and self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(PATIENCE_S, self._begin)
        return stored

    async def drain(self) -> None:
        """Return when nothing waits any more; cancelled, give up what still does, and tell its senders."""
        if self._patience is not None:
            self._begin()
        try:
            while self._sender is not None:
                await asyncio.wait([self._sender])
        except asyncio.CancelledError:
            if self._sender is not None:
                self._sender.cancel()
            raise

    def _begin(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        parcels: list[Parcel] = []
        try:
            while self._parcels:
                parcels = self._next_parcels()
                try:
                    _tell(parcels, await self._store(parcels))
                except Exception:
                    log.exception("a frame failed", partition=self._partition)
                    _tell(parcels, Unavailable("the gateway failed to store a frame; its log says why"))
                self._forget(parcels)
                parcels = []
        except asyncio.CancelledError:
            waiting = [*parcels, *self._parcels]
            cut = [one for one in waiting if not one.stored.done() or one.stored.cancelled()]
            log.warning("messages cut", partition=self._partition, messages=sum(one.messages for one in cut))
            self._parcels.clear()
            self._forget(waiting)
            _tell(cut, Unavailable("the gateway stops before the broker has answered"))
            raise
        finally:
            self._sender = None

    def _forget(self, parcels: Sequence[Parcel]) -> None:
        self._queued -= sum(one.messages for one in parcels)
        self._room.bytes -= sum(one.bytes for one in parcels)

    def _next_parcels(self) -> list[Parcel]:
        """Those that make the next frame: of one sort, up to its usual size and the broker's limit.

        What is too large for one frame goes alone: it harms its own sender only.
        """
        parcels = [self._parcels.popleft()]
        count, size = parcels[0].messages, HEAD_BYTES + parcels[0].bytes
        while self._parcels and count < FRAME_MESSAGES:
            following = self._parcels[0]
            size += following.bytes
            if following.kind is not parcels[0].kind or size > self._bundling.frame_limit:
                break
            count += following.messages
            parcels.append(self._parcels.popleft())
        return parcels

    async def _store(self, parcels: Sequence[Parcel]) -> IotError | None:
        """Publish as one frame, or one too large for that as several; None when all is durable."""
        kind, chunks = parcels[0].kind, [chunk for parcel in parcels for chunk in parcel.chunks]
        frames = [chunks] if len(parcels) > 1 else [[chunk] for chunk in chunks]
        for frame in frames:
            try:
                await self._bundling.publish(self._partition, frame_of(kind, frame))
            except IotError as problem:
                return problem
            self._on_frame(sum(chunk.messages for chunk in frame))
        return None


def _tell(parcels: Sequence[Parcel], outcome: IotError | None) -> None:
    """Tell the senders that do not know yet."""
    for parcel in parcels:
        if not parcel.stored.done():
            parcel.stored.set_result(outcome)
