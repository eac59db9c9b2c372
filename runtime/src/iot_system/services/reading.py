"""Reads the frames of a shard's partitions, and applies what comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from iot_system.ports.clock import Clock
from iot_system.ports.stream import Reader, Stream, StreamMessage
from iot_system.services.batch import Batch
from iot_system.services.departures import Departures
from iot_system.services.partition import Partition
from iot_system.services.shard_metrics import LAG

if TYPE_CHECKING:
    from iot_system.services.shard import Shard

FETCH_FRAMES = 64
FETCH_WAIT_S = 1.0
BATCH_FRAMES = 1024
BATCH_BYTES = 1024 * 1024
"""What one commit takes of the stream at most, but for one frame that is larger."""
MUCH_BYTES = 256 * 1024
"""With less, the next commit waits for more until the one before it is done."""
BUSY_BYTES = 16 * 1024
GATHER_S = 0.02
"""After a turn of so many bytes, so long is waited for more, for each commit costs something by itself."""


class Reading:
    """``lag`` is how many frames wait behind the last ones read."""

    def __init__(self, shard: Shard, stream: Stream, departures: Departures, clock: Clock) -> None:
        self._shard = shard
        self._stream = stream
        self._departures = departures
        self._clock = clock
        self._arrived: deque[StreamMessage] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._much = asyncio.Event()
        self._taken = 0
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
            self._arrived.clear()
            self._bytes = 0
            async with self._stream.read(positions, stream_id=shard.stream_id) as reader:
                fetching = asyncio.create_task(self._fetch(reader))
                try:
                    while not shard.moved.is_set():
                        await self._news_or_moved(fetching)
                        shard.turned()
                        if self._arrived and not shard.moved.is_set():
                            self._taken = 0
                            await shard.apply_on(lambda ahead, claimed=claimed: self._next(claimed, ahead=ahead))  # type: ignore[misc]
                            if self._taken > BUSY_BYTES:
                                await self._gather()
                finally:
                    fetching.cancel()
                    await asyncio.gather(fetching, return_exceptions=True)

    async def _fetch(self, reader: Reader) -> None:
        """Frames come in while others are applied."""
        task = asyncio.current_task()
        assert task is not None
        while True:
            messages = await reader.fetch(FETCH_FRAMES, wait_s=FETCH_WAIT_S)
            if task.cancelling():  # before Python 3.12 the broker's client may swallow it, see `iot_system.ending`
                return
            self.lag = reader.pending
            LAG.labels(self._shard.name).set(self.lag)
            self._arrived += messages
            self._bytes += sum([len(one.data) for one in messages])
            self._news.set()
            if self._bytes >= MUCH_BYTES:
                self._much.set()
            while self._bytes > BATCH_BYTES or len(self._arrived) > BATCH_FRAMES:
                self._room.clear()
                await self._room.wait()

    async def _gather(self) -> None:
        self._much.clear()
        if self._bytes < MUCH_BYTES:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self._much.wait()

    async def _news_or_moved(self, fetching: asyncio.Task[None]) -> None:
        """Raises what fetching does."""
        if self._arrived:
            return
        self._news.clear()
        waiting = [asyncio.ensure_future(self._shard.moved.wait()), asyncio.ensure_future(self._news.wait())]
        try:
            await asyncio.wait([fetching, *waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
        if fetching.done():
            fetching.result()

    def _next(self, claimed: Mapping[int, Partition], *, ahead: bool) -> Batch | None:
        """What was ``claimed`` anew meanwhile gets nothing: its position may be one of another stream."""
        if not self._arrived or self._shard.moved.is_set() or (ahead and self._bytes < MUCH_BYTES):
            return None
        messages: list[StreamMessage] = []
        size = 0
        while self._arrived and len(messages) < BATCH_FRAMES and (size < BATCH_BYTES or not messages):
            messages.append(self._arrived.popleft())
            size += len(messages[-1].data)
        self._bytes -= size
        self._taken += size
        self._room.set()
        self._shard.turned()
        owned = {number: one for number, one in self._shard.owned.items() if claimed.get(number) is one}
        return Batch(messages, owned, now_us=self._clock.now_us(), listening=self._departures.listening)
