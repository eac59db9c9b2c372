"""Placement: where shards run, and how the coordinator speaks to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class ShardStatus(msgspec.Struct, frozen=True):
    """What a shard says of itself; ``owned`` maps partition → epoch, ``problem`` is a reason to start it anew."""

    name: str
    node: str
    owned: dict[int, int]
    problem: str | None = None


class ShardHandle(Protocol):
    """A running shard, near or far. Every call may raise `Unavailable`."""

    @property
    def name(self) -> str:
        """Unique among all shards that ever ran on the node."""
        ...

    @property
    def node(self) -> str: ...

    async def status(self) -> ShardStatus: ...

    async def claim(self, partitions: Sequence[int]) -> None:
        """Take partitions over with the next epoch; returns when each is served from a consistent state."""
        ...

    async def release(self, partitions: Sequence[int]) -> None:
        """Commit what is under way, then give partitions up; returns when nothing of them is left."""
        ...


class Placement(Protocol):
    """Contract of all placements."""

    async def nodes(self) -> list[str]:
        """Nodes that are alive and may host shards. Raises `Unavailable` while that cannot be told."""
        ...

    async def ensure_shards(self, node: str, count: int) -> list[ShardHandle]:
        """Start what is missing of ``count`` shards on ``node`` and return them all."""
        ...
