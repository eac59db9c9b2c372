"""What leaves a shard after a commit beside the outbox: to connected devices, and to those who listen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from iot_system.actors.changes import Changes
from iot_system.domain.deliveries import Delivery, encode_deliveries
from iot_system.domain.events import NewReadings, encode_events
from iot_system.errors import IotError
from iot_system.ports.clock import Clock
from iot_system.ports.requests import Requests
from iot_system.ports.stream import Stream

LISTENED_S = 15.0
"""Somebody who listens says so more often than this."""
MESSAGE_BYTES = 4 * 1024 * 1024
"""A message stays below this where it can be parted: half of what the broker takes."""
T = TypeVar("T", Delivery, NewReadings)
log = structlog.get_logger()


class Departures:
    """Nothing of it is durable: commands are sent again until they are confirmed, readings are in the history."""

    def __init__(self, stream: Stream, requests: Requests, clock: Clock) -> None:
        self._stream = stream
        self._requests = requests
        self._clock = clock
        self._listened_s = -LISTENED_S

    async def start(self) -> None:
        """Hear who listens."""
        await self._requests.on_listening(self._on_listening)

    @property
    def listening(self) -> bool:
        """Whether somebody wants new readings."""
        return self._clock.monotonic_s() - self._listened_s < LISTENED_S

    async def send(self, source: int, changes: Changes) -> None:
        """Send what partition ``source`` has committed, in the order of its commits."""
        for gateway, deliveries in changes.deliveries.items():
            await _send(deliveries, encode_deliveries, lambda data, to=gateway: self._requests.tell(to, data))  # type: ignore[misc]
        if changes.heard:
            await _send(changes.heard, encode_events, lambda data: self._stream.publish_readings(source, data))

    def _on_listening(self) -> None:
        self._listened_s = self._clock.monotonic_s()


async def _send(
    items: Sequence[T], encode: Callable[[Sequence[T]], bytes], send: Callable[[bytes], Awaitable[None]]
) -> None:
    data = encode(items)
    middle = len(items) // 2
    if len(data) > MESSAGE_BYTES and middle:
        await _send(items[:middle], encode, send)
        await _send(items[middle:], encode, send)
        return
    try:
        await send(data)
    except IotError as error:
        log.warning("not sent", what=type(items[0]).__name__, count=len(items), why=str(error))
