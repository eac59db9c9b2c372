"""What the tests let Ray host: a shard that only says where it runs. A module, so that Ray's processes find it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import partial

import ray
from iot_system.adapters.ray.apart import stay_apart
from iot_system.adapters.ray.host import Factory
from iot_system.errors import Unavailable
from iot_system.ports.placement import ShardStatus

REFUSED = 13
"""Claiming this partition fails."""


class PlacedShard:
    """Its process id stands in the place of an epoch, so that a restart can be seen."""

    staying_apart: asyncio.Task[None]

    def __init__(self, name: str, node: str) -> None:
        self._name = name
        self._node = node
        self._owned: set[int] = set()

    async def status(self) -> ShardStatus:
        return ShardStatus(self._name, self._node, dict.fromkeys({0} | self._owned, os.getpid()))

    async def claim(self, partitions: Sequence[int]) -> None:
        if REFUSED in partitions:
            raise Unavailable("the database is away")
        self._owned.update(partitions)

    async def release(self, partitions: Sequence[int]) -> None:
        self._owned.difference_update(partitions)


async def start(name: str, node: str) -> PlacedShard:
    return PlacedShard(name, node)


async def start_here(name: str) -> PlacedShard:
    return PlacedShard(name, ray.get_runtime_context().get_node_id())


async def start_apart() -> PlacedShard:
    shard = await start_here("apart")
    shard.staying_apart = asyncio.create_task(stay_apart())
    return shard


async def start_in_vain(name: str, node: str) -> PlacedShard:
    raise Unavailable(f"{name} cannot reach its database")


def factory(name: str, node: str) -> Factory:
    return partial(start, name, node)


def factory_here(name: str) -> Factory:
    """It says on which node it runs."""
    return partial(start_here, name)


def factory_in_vain(name: str, node: str) -> Factory:
    return partial(start_in_vain, name, node)
