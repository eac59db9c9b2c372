"""What waits is bounded at any time: messages for the broker at a gateway, frames for their turn at a shard."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager

from iot_system.services import reading, writer

from tests.simulation.cluster import Cluster

LOOKS_APART_S = 1.0


@contextmanager
def drawn(chance: random.Random) -> Iterator[None]:
    """In half of all histories each commit has next to nothing, in half of them queues have room for next to nothing.

    So what follows is done while a commit is under way; and bounds are reached with the few messages of a history.
    """
    before = reading.MUCH_BYTES, reading.BATCH_FRAMES, reading.FETCH_FRAMES, writer.QUEUE_MESSAGES_LIMIT
    if chance.random() < 0.5:
        reading.MUCH_BYTES, reading.BATCH_FRAMES = 0, 2
    if chance.random() < 0.5:
        reading.FETCH_FRAMES, writer.QUEUE_MESSAGES_LIMIT = 2, 3
    try:
        yield
    finally:
        reading.MUCH_BYTES, reading.BATCH_FRAMES, reading.FETCH_FRAMES, writer.QUEUE_MESSAGES_LIMIT = before


class Queues:
    """``wrong`` has a sentence for each queue that was once longer than it may be."""

    def __init__(self, cluster: Cluster) -> None:
        self.wrong: set[str] = set()
        self._cluster = cluster

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            self._look()
            await asyncio.sleep(LOOKS_APART_S)

    def _look(self) -> None:
        for place in self._cluster.gateways:
            for number, one in enumerate(place.current._intake._writers if place.current else ()):
                waiting = sum(parcel.messages for parcel in one._parcels)
                if max(waiting, one._queued) > writer.QUEUE_MESSAGES_LIMIT:
                    self.wrong.add(f"{place.name} has too many messages waiting for partition {number}")
        for shard in self._cluster.shards:
            if shard.current and len(shard.current._reading._arrived) > reading.BATCH_FRAMES + reading.FETCH_FRAMES:
                self.wrong.add(f"{shard.name} has too many frames that wait for their turn")
