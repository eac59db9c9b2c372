"""Events as they pass, before the broker has stored them: for those who wait for one, and get it once more when it is.

They are committed when they pass, so they are true. Who misses one gets it from the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import structlog

from iot_system.domain.events import Event, decode_events
from iot_system.ports.events import Log

Take = Callable[[Event, int], None]
"""Takes an event, and about how many bytes it has."""
log = structlog.get_logger()


class Passing:
    """Hears each partition once, as long as somebody wants its events."""

    def __init__(self, source: Log) -> None:
        self._source = source
        self._takers: dict[int, list[Take]] = {}
        self._ends: dict[int, Callable[[], Awaitable[None]]] = {}
        self._changing = asyncio.Lock()

    async def hear(self, partition: int, take: Take) -> None:
        """Call ``take`` with what passes from now on. Raises `Unavailable`."""
        async with self._changing:
            if partition not in self._ends:
                self._ends[partition] = await self._source.overhear(partition, partial(self._on_message, partition))
            self._takers.setdefault(partition, []).append(take)

    async def leave(self, partition: int, take: Take) -> None:
        """As before `hear`, which may have failed."""
        async with self._changing:
            takers = self._takers.get(partition, [])
            if take in takers:
                takers.remove(take)
                if not takers:
                    del self._takers[partition]
                    await self._ends.pop(partition)()

    def _on_message(self, partition: int, data: bytes) -> None:
        try:
            events = decode_events(data)
        except msgspec.MsgspecError as error:
            log.warning("a passing event cannot be read", partition=partition, error=str(error))
            return
        for event in events:
            for take in list(self._takers.get(partition, ())):
                take(event, len(data) // len(events))
