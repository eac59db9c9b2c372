"""Reads the frames of a shard's partitions, and applies what comes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from iot_system.ports.clock import Clock
from iot_system.ports.stream import Stream, StreamMessage
from iot_system.services.batch import Batch
from iot_system.services.departures import Departures
from iot_system.services.partition import Partition
from iot_system.services.shard_metrics import APPLIED, APPLY_SECONDS, LAG

if TYPE_CHECKING:
    from iot_system.services.shard import Shard

FETCH_FRAMES = 64
FETCH_WAIT_S = 1.0


class Reading:
    """``lag`` is how many frames wait behind the last ones read."""

    def __init__(self, shard: Shard, stream: Stream, departures: Departures, clock: Clock) -> None:
        self._shard = shard
        self._stream = stream
        self._departures = departures
        self._clock = clock
        self.lag = 0

    async def run(self) -> None:
        """Until cancelled; begins anew whenever partitions come or go."""
        shard = self._shard
        await shard.follow_stream()
        while True:
            shard.moved.clear()
            claimed = dict(shard.owned)
            if not claimed:
                await shard.moved.wait()
                continue
            positions = {number: one.applied for number, one in claimed.items()}
            async with self._stream.read(positions, stream_id=shard.stream_id) as reader:
                fetching = asyncio.create_task(reader.fetch(FETCH_FRAMES, wait_s=FETCH_WAIT_S))
                try:
                    while not shard.moved.is_set():
                        messages = await self._or_moved(fetching)
                        if messages is None:
                            break
                        shard.turned()
                        self.lag = reader.pending
                        LAG.labels(shard.name).set(self.lag)
                        # The next frames come in while these are applied.
                        fetching = asyncio.create_task(reader.fetch(FETCH_FRAMES, wait_s=FETCH_WAIT_S))
                        await self._apply(messages, claimed)
                finally:
                    fetching.cancel()
                    await asyncio.gather(fetching, return_exceptions=True)

    async def _or_moved(self, fetching: asyncio.Task[list[StreamMessage]]) -> list[StreamMessage] | None:
        moved = asyncio.ensure_future(self._shard.moved.wait())
        try:
            await asyncio.wait([fetching, moved], return_when=asyncio.FIRST_COMPLETED)
        finally:
            moved.cancel()
        return fetching.result() if fetching.done() else None

    async def _apply(self, messages: list[StreamMessage], claimed: Mapping[int, Partition]) -> None:
        """What was ``claimed`` anew meanwhile gets nothing: its position may be one of another stream."""
        applied: list[Batch] = []

        def begin() -> Batch:
            now_us, listening = self._clock.now_us(), self._departures.listening
            owned = {number: one for number, one in self._shard.owned.items() if claimed.get(number) is one}
            applied.append(Batch(messages, owned, now_us=now_us, listening=listening))
            return applied[-1]

        if messages:
            with APPLY_SECONDS.time():
                await self._shard.apply(begin)
            APPLIED.inc(applied[-1].telemetry)
