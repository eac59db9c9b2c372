"""Placement in one process: for the edge, for development without Ray, and for tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from iot_system.ports.placement import ShardHandle

MakeShard = Callable[[str, str], Awaitable[ShardHandle]]
"""(name, node) → a started shard."""


class LocalPlacement:
    """Implements `iot_system.ports.placement.Placement` with shards in this process and one node."""

    def __init__(self, make_shard: MakeShard) -> None:
        self._make_shard = make_shard
        self._shards: list[ShardHandle] = []

    async def nodes(self) -> list[str]:
        """See `iot_system.ports.placement.Placement.nodes`."""
        return ["local"]

    async def ensure_shards(self, node: str, count: int) -> list[ShardHandle]:
        """See `iot_system.ports.placement.Placement.ensure_shards`."""
        while len(self._shards) < count:
            self._shards.append(await self._make_shard(f"{node}-{len(self._shards)}", node))
        return self._shards
