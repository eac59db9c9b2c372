"""Publishes messages between actors, and events, after their commit, in the order of their numbers."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from uuid import uuid4

import structlog

from iot_system.domain.events import EVENTS
from iot_system.errors import IotError
from iot_system.ports.store import OutboxMessage
from iot_system.ports.stream import Stream

RETRY_S = 0.5
EVENTS_BYTES_LIMIT = 16 * 1024 * 1024
"""Events that wait here while their stream alone is away; then nothing new is done that leads to more.

Frames have no such limit: where the stream of frames is full, only reading on makes room in it.
"""
log = structlog.get_logger()
Lane = tuple[int, int]
"""(source, target): partitions, or `EVENTS` as target. Numbers leave one after another, lanes side by side."""


class Outbox:
    """What was committed and may not be with the broker yet. The store keeps it until `published` says otherwise."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._lanes: dict[Lane, deque[OutboxMessage]] = {}
        self._published: dict[int, dict[int, int]] = {}
        self._sending: dict[Lane, asyncio.Task[None]] = {}
        self._wanted = asyncio.Event()
        self._events_bytes = 0
        self._less = asyncio.Event()

    def put(self, source: int, messages: Sequence[OutboxMessage]) -> None:
        """Queue committed messages of partition ``source``."""
        for message in messages:
            self._lanes.setdefault((source, message.target), deque()).append(message)
            if message.target == EVENTS:
                self._events_bytes += len(message.data)
        if messages:
            self._wanted.set()

    def published(self, source: int) -> dict[int, int]:
        """Target → the number through which the broker has everything, as far as not forgotten."""
        return dict(self._published.get(source, ()))

    def forget(self, source: int, published: dict[int, int]) -> None:
        """The store knows ``published`` now."""
        known = self._published.get(source, {})
        for target, number in published.items():
            if known.get(target) == number:
                del known[target]

    def drop(self, source: int) -> None:
        """Another shard owns ``source`` now and publishes what is left."""
        self._published.pop(source, None)
        for lane in [lane for lane in self._lanes if lane[0] == source]:
            waiting = self._lanes.pop(lane)
            if lane[1] == EVENTS:
                self._gone(sum([len(message.data) for message in waiting]))

    @property
    def is_full(self) -> bool:
        """Whether more events wait than should."""
        return self._events_bytes > EVENTS_BYTES_LIMIT

    async def has_room(self, wait_s: float) -> bool:
        """Whether it is not full, or not any more within ``wait_s`` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while self.is_full:
                    self._less.clear()
                    await self._less.wait()
        return not self.is_full

    def _gone(self, events_bytes: int) -> None:
        self._events_bytes -= events_bytes
        self._less.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                for lane, waiting in self._lanes.items():
                    if waiting and lane not in self._sending:
                        task = self._sending[lane] = asyncio.create_task(self._send(lane))
                        task.add_done_callback(partial(self._sent, lane))
        finally:
            for task in self._sending.values():
                task.cancel()

    def _sent(self, lane: Lane, task: asyncio.Task[None]) -> None:
        del self._sending[lane]
        if not task.cancelled() and (error := task.exception()):
            log.error("a message between actors failed", source=lane[0], target=lane[1], exc_info=error)
            asyncio.get_running_loop().call_later(RETRY_S, self._wanted.set)
        elif self._lanes.get(lane):
            self._wanted.set()

    async def _send(self, lane: Lane) -> None:
        source, target = lane
        while waiting := self._lanes.get(lane):
            message = waiting[0]
            await self._publish(lane, message)
            if self._lanes.get(lane) is waiting:
                waiting.popleft()
                if target == EVENTS:
                    self._gone(len(message.data))
                self._published.setdefault(source, {})[target] = message.number

    async def _publish(self, lane: Lane, message: OutboxMessage) -> None:
        message_id = _event_id(lane, message) if message.target == EVENTS else uuid4().hex
        while lane in self._lanes:
            try:
                if message.target == EVENTS:
                    await self._stream.publish_events(lane[0], message.data, message_id=message_id)
                else:
                    await self._stream.publish(message.target, message.data, message_id=message_id)
            except IotError as error:
                log.warning("a message between actors waits", source=lane[0], target=lane[1], why=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return


def _event_id(lane: Lane, message: OutboxMessage) -> str:
    """The same for every owner that publishes it, so that the broker may know it again: its readers cannot.

    Of its content too, which bears the time: after a loss of the store numbers begin anew.
    """
    return f"{lane[0]}-{message.number}-{sha256(message.data).hexdigest()[:16]}"
