"""A stream of events in memory with the contract of `iot_system.ports.events.Log`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from iot_system.errors import Unavailable
from iot_system.ports.events import LogLost


class MemoryLog:
    """``drop`` forgets the oldest, `replace` everything; while ``is_away`` nobody can read."""

    def __init__(self) -> None:
        self.messages: dict[int, bytes] = {}
        self.readers = 0
        self.is_away = False
        self._life = 0
        self._last = 0
        self._changed = asyncio.Event()
        self.overhearing: list[tuple[int, Callable[[bytes], None]]] = []

    def append(self, data: bytes) -> int:
        """Returns its sequence."""
        self._last += 1
        self.messages[self._last] = data
        self._wake()
        return self._last

    def pass_by(self, partition: int, data: bytes) -> None:
        """It is on its way into the stream."""
        for number, take in list(self.overhearing):
            if number == partition and not self.is_away:
                take(data)

    def drop(self, up_to: int) -> None:
        """Forget what the stream has no room for any more."""
        self.messages = {sequence: data for sequence, data in self.messages.items() if sequence > up_to}

    def replace(self) -> None:
        """Another stream, which counts from 1 again."""
        self.messages.clear()
        self._life += 1
        self._last = 0
        self._wake()

    async def end(self) -> int:
        """See the port."""
        self.check(self._life)
        return self._last

    async def reaches(self, position: int) -> bool:
        """See the port."""
        return position <= await self.end()

    def read(self, after: int) -> MemoryLogReader:
        """See the port."""
        self.readers += 1
        return MemoryLogReader(self, after, self._life)

    async def overhear(self, partition: int, take: Callable[[bytes], None]) -> Callable[[], Awaitable[None]]:
        """See the port."""
        one = (partition, take)
        self.overhearing.append(one)

        async def end() -> None:
            self.overhearing.remove(one)

        return end

    def check(self, life: int) -> None:
        """Raises what a reader of ``life`` meets."""
        if self.is_away:
            raise Unavailable("the broker is away")
        if life != self._life:
            raise LogLost("another stream")

    async def change(self) -> None:
        """Return at the next append or loss."""
        await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class MemoryLogReader:
    """See `iot_system.ports.events.LogReader`."""

    def __init__(self, log: MemoryLog, after: int, life: int) -> None:
        self._log = log
        self._position = after
        self._life = life

    async def fetch(self, *, wait_s: float) -> list[tuple[int, bytes]]:
        """See the port."""
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    self._log.check(self._life)
                    found = [one for one in self._log.messages.items() if one[0] > self._position]
                    if found:
                        break
                    await self._log.change()
        except TimeoutError:
            return []
        self._position = found[-1][0]
        return found

    async def close(self) -> None:
        """See the port."""
        self._log.readers -= 1
