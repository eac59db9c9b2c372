"""What a shard does by the clock: timers, lost connections, idle actors, and what one shard does for all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from iot_system.ports.clock import Clock
from iot_system.ports.store import Store
from iot_system.ports.stream import Stream
from iot_system.services.dues import DueActors, Gateways, LostConnections
from iot_system.services.shard_metrics import PASSIVATED, UNARCHIVED

if TYPE_CHECKING:
    from iot_system.services.shard import Shard

HOUSEKEEPING_S = 10.0
MAINTENANCE_S = 3600.0
GATEWAYS_S = 3.0
log = structlog.get_logger()


class Housekeeping:
    """Each of the coroutines runs for ever; `iot_system.services.shard.Shard` begins them anew after a failure."""

    def __init__(
        self,
        shard: Shard,
        store: Store,
        stream: Stream,
        gateways: Gateways,
        clock: Clock,
        *,
        passivate_after_s: float,
        retention_days: int,
    ) -> None:
        self._shard = shard
        self._store = store
        self._stream = stream
        self._gateways = gateways
        self._clock = clock
        self._passivate_after_s = passivate_after_s
        self._retention_days = retention_days

    async def fire(self) -> None:
        """Let actors that are due have their turn."""
        shard = self._shard
        while True:
            shard.rescheduled.clear()
            due_us = min(
                (one for partition in shard.owned.values() if (one := partition.actors.next_due_us()) is not None),
                default=None,
            )
            left_s = None if due_us is None else (due_us - self._clock.now_us()) / 1e6
            if left_s is not None and left_s <= 0:
                await shard.apply(lambda: DueActors(shard.owned, now_us=self._clock.now_us()))
                continue
            try:
                async with asyncio.timeout(left_s):
                    await shard.rescheduled.wait()
            except TimeoutError:
                continue

    async def end_lost_connections(self) -> None:
        """Devices are told as gone whose API process has vanished; one that comes back is asked who is still there."""
        shard = self._shard
        while True:
            for gateway in self._gateways.vanished(shard.owned):
                log.warning("a gateway vanished", shard=shard.name, gateway=gateway)
                while any(gateway in partition.actors.gateways() for partition in shard.owned.values()):
                    await self._lose(gateway)
            await self._gateways.ask_who_returned()
            await asyncio.sleep(GATEWAYS_S)

    async def _lose(self, gateway: str) -> None:
        def begin() -> LostConnections:
            work.append(LostConnections(self._shard.owned, gateway, now_us=self._clock.now_us()))
            return work[-1]

        work: list[LostConnections] = []
        await self._shard.apply(begin)
        self._gateways.lost(gateway, work[-1].ended)

    async def keep(self) -> None:
        """Let idle actors go; forget what every partition has applied, and what is old."""
        shard = self._shard
        await shard.follow_stream()
        maintained_s = -MAINTENANCE_S
        while True:
            idle_since_us = self._clock.now_us() - round(self._passivate_after_s * 1e6)
            async with shard.whole_turn():
                owned = shard.owned.values()
                PASSIVATED.inc(sum(one.actors.passivate(idle_since_us=idle_since_us) for one in owned))
            await self._stream.verify(shard.stream_id, reached=shard.reached())
            if shard.owns(0):  # one shard does it for all: whoever owns the first partition
                stream_id, now_s = shard.stream_id, self._clock.monotonic_s()
                await self._stream.trim(await self._store.applied(stream_id), stream_id=stream_id)
                UNARCHIVED.labels(shard.name).set(await self._store.unarchived_s())
                if now_s - maintained_s >= MAINTENANCE_S:
                    await self._store.maintain(now_us=self._clock.now_us(), retention_days=self._retention_days)
                    maintained_s = now_s
            else:
                UNARCHIVED.labels(shard.name).set(0)  # another one tells
            await asyncio.sleep(min(HOUSEKEEPING_S, self._passivate_after_s))
