"""A stream in memory with the contract of `iot_system.ports.stream.Stream`, and faults on request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self, TypeAlias

from iot_system.domain.events import EVENTS
from iot_system.errors import Unavailable
from iot_system.ports.stream import ANSWER_S, StreamLost, StreamMessage

from tests.unit.services.memory_log import MemoryLog

Trouble: TypeAlias = Callable[[int, bytes], Awaitable[None]]
"""(partition, data): may wait, or raise what `Stream.publish` raises."""


async def no_trouble(partition: int, data: bytes) -> None:
    """All is well."""


class MemoryStream:
    """One log for all partitions, and what it held ``ever``, with the streams of ``events`` and of ``readings``.

    ``before`` and ``after`` the moment a frame is durable, a test may interfere.
    """

    def __init__(self, *, frame_limit: int = 1 << 20) -> None:
        self.frame_limit = frame_limit
        self.identity = "first"
        self.log: list[StreamMessage] = []
        self.ever: list[StreamMessage] = []
        self.events = MemoryLog()
        self.readings = MemoryLog()
        self.before: Trouble = no_trouble
        self.after: Trouble = no_trouble
        self.before_fetch: Callable[[], Awaitable[None]] = _at_once
        self.in_flight: dict[int, int] = {}
        self.most_in_flight = 0
        self.patience_s: list[float] = []
        self.trimmed: dict[int, int] = {}
        self._sequence = 0
        self._ids: dict[str, int] = {}
        self._grown = asyncio.Event()

    async def publish(self, partition: int, data: bytes, *, message_id: str, answer_s: float = ANSWER_S) -> int:
        """See the port; a message id seen before is not appended again."""
        return await self.publish_bundle({partition: data}, message_id=message_id, answer_s=answer_s)

    async def publish_bundle(self, frames: Mapping[int, bytes], *, message_id: str, answer_s: float = ANSWER_S) -> int:
        """See the port; what has nothing in it gets nothing of it."""
        self.patience_s.append(answer_s)
        for partition in frames:
            self.in_flight[partition] = self.in_flight.get(partition, 0) + 1
        self.most_in_flight = max(self.most_in_flight, *self.in_flight.values())
        try:
            for partition, data in frames.items():
                await self.before(partition, data)
            if message_id not in self._ids:
                self._ids[message_id] = self._append(frames)
            for partition, data in frames.items():
                await self.after(partition, data)
        finally:
            for partition in frames:
                self.in_flight[partition] -= 1
        return self._ids[message_id]

    async def publish_events(self, source: int, data: bytes, *, message_id: str) -> None:
        """See the port; a message id seen before is not appended again."""
        self.events.pass_by(source, data)
        await self.before(EVENTS, data)
        if message_id not in self._ids:
            self._ids[message_id] = self.events.append(data)
        await self.after(EVENTS, data)

    async def publish_readings(self, source: int, data: bytes) -> None:
        """See the port."""
        self.readings.append(data)

    def append(self, partition: int, data: bytes) -> int:
        """Append without any trouble."""
        return self._append({partition: data})

    def _append(self, frames: Mapping[int, bytes]) -> int:
        self._sequence += 1
        messages = [StreamMessage(partition, self._sequence, data) for partition, data in frames.items()]
        self.log += messages
        self.ever += messages
        self._grown.set()
        self._grown = asyncio.Event()
        return self._sequence

    def read(self, positions: Mapping[int, int], *, stream_id: str) -> MemoryReader:
        """See the port."""
        return MemoryReader(self, positions, stream_id)

    async def verify(self, stream_id: str, *, reached: int) -> None:
        """See the port."""
        if stream_id != self.identity or self._sequence < reached:
            raise StreamLost(f"the stream is {self.identity} and ends at {self._sequence}")

    async def follow(self, stream_id: str, *, reached: int) -> str:
        """See the port."""
        if stream_id == self.identity and self._sequence < reached:
            self.identity += ", lost"
        return self.identity

    def replace(self, identity: str) -> None:
        """Lose everything; the stream that is there from now on counts from 1 again."""
        self.identity = identity
        self.log.clear()
        self._ids.clear()
        self._sequence = 0

    async def trim(self, applied: Mapping[int, int], *, stream_id: str) -> None:
        """See the port."""
        await self.verify(stream_id, reached=max(applied.values(), default=0))
        self.trimmed = dict(applied)
        self.log = [one for one in self.log if one.sequence > applied.get(one.partition, 0)]

    async def growth(self) -> None:
        """Return at the next append."""
        await self._grown.wait()


class MemoryReader:
    """See `iot_system.ports.stream.Reader`."""

    def __init__(self, stream: MemoryStream, positions: Mapping[int, int], stream_id: str) -> None:
        self._stream = stream
        self._stream_id = stream_id
        self._positions = dict(positions)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._positions.clear()

    @property
    def pending(self) -> int:
        """See the port."""
        return len(self._behind(len(self._stream.log)))

    async def fetch(self, limit: int, *, wait_s: float) -> list[StreamMessage]:
        """See the port."""
        await self._stream.before_fetch()
        await self._stream.verify(self._stream_id, reached=max(self._positions.values()))
        try:
            async with asyncio.timeout(wait_s):
                while not (found := self._behind(limit)):
                    await self._stream.growth()
        except TimeoutError:
            return []
        for message in found:
            self._positions[message.partition] = message.sequence
        return found

    def _behind(self, limit: int) -> list[StreamMessage]:
        positions = self._positions
        return [one for one in self._stream.log if one.sequence > positions.get(one.partition, math.inf)][:limit]


async def _at_once() -> None:
    return


class Failing:
    """Raises `Unavailable` for the next ``times`` calls."""

    def __init__(self, times: float = math.inf) -> None:
        self.left = times

    async def __call__(self, partition: int, data: bytes) -> None:
        if self.left > 0:
            self.left -= 1
            raise Unavailable("the broker is away")
