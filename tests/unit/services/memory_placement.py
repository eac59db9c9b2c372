"""A cluster in memory with the contract of `iot_system.ports.placement.Placement`, and faults on request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from iot_system.errors import Unavailable
from iot_system.ports.placement import ShardHandle, ShardStatus


class World:
    """What all shards share: the newest epoch of each partition, as the store knows it, and what moved when."""

    def __init__(self) -> None:
        self.epochs: dict[int, int] = {}
        self.moves: list[tuple[str, str, tuple[int, ...]]] = []


class MemoryShard:
    """Implements `iot_system.ports.placement.ShardHandle`; ``silent``, ``stuck`` and ``refusing`` are its faults."""

    def __init__(self, name: str, node: str, world: World) -> None:
        self.name = name
        self.node = node
        self.owned: dict[int, int] = {}
        self.silent = False
        self.stuck = False
        self.refusing = False
        self.problem: str | None = None
        self._world = world

    async def status(self) -> ShardStatus:
        await self._answer()
        return ShardStatus(self.name, self.node, dict(self.owned), self.problem)

    async def claim(self, partitions: Sequence[int]) -> None:
        await self._answer()
        if self.stuck:
            await asyncio.Event().wait()
        self._world.moves.append((self.name, "claim", tuple(partitions)))
        for number in partitions:
            self.owned[number] = self._world.epochs[number] = self._world.epochs.get(number, 0) + 1

    async def release(self, partitions: Sequence[int]) -> None:
        await self._answer()
        self._world.moves.append((self.name, "release", tuple(partitions)))
        for number in partitions:
            self.owned.pop(number, None)

    async def _answer(self) -> None:
        await asyncio.sleep(0.01)
        if self.refusing:
            raise Unavailable("the database does not answer")
        if self.silent:
            await asyncio.Event().wait()


class MemoryPlacement:
    """``shards`` of each node; a node that is taken away is gone with all its shards."""

    def __init__(self, world: World, *nodes: str) -> None:
        self.world = world
        self.shards: dict[str, dict[str, MemoryShard]] = {node: {} for node in nodes}
        self.away = False
        self.slow: set[str] = set()
        """Nodes whose shards are only starting."""
        self.refused = 0
        self._is_asked = False

    @property
    def all(self) -> list[MemoryShard]:
        """Every shard of every node."""
        return [shard for shards in self.shards.values() for shard in shards.values()]

    async def nodes(self) -> list[str]:
        await self._take_time()
        return list(self.shards)

    async def ensure_shards(self, node: str, count: int) -> list[ShardHandle]:
        await self._take_time()
        shards = self.shards[node]
        for number in range(count):
            shard = shards.setdefault(name := f"{node}-{number}", MemoryShard(name, node, self.world))
            shard.silent = shard.silent or node in self.slow
        return list(shards.values())

    async def _take_time(self) -> None:
        """As Ray's head: one question at a time."""
        if self.away or self._is_asked:
            self.refused += 1
            raise Unavailable("the head has not answered yet")
        self._is_asked = True
        try:
            await asyncio.sleep(0.01)
        finally:
            self._is_asked = False

    def owners(self) -> dict[int, list[str]]:
        """Partition → the shards that believe to own it."""
        found: dict[int, list[str]] = {}
        for shard in self.all:
            for number in shard.owned:
                found.setdefault(number, []).append(shard.name)
        return found
