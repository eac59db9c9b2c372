"""Placement on Ray: detached actors, pinned to the node that they serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from iot_system.adapters.ray.host import Factory, Handle, call, host
from iot_system.adapters.ray.machines import NODE_RESOURCE
from iot_system.errors import Unavailable
from iot_system.ports.placement import ShardHandle, ShardStatus

HEAD_TIMEOUT_S = 5.0
T = TypeVar("T")


class RayShard:
    """Implements `iot_system.ports.placement.ShardHandle` for a shard in another process."""

    def __init__(self, name: str, node: str, handle: Handle) -> None:
        self.name = name
        self.node = node
        self._handle = handle

    async def status(self) -> ShardStatus:
        """See the port."""
        return cast("ShardStatus", await call(self._handle, "status"))

    async def claim(self, partitions: Sequence[int]) -> None:
        """See the port."""
        await call(self._handle, "claim", list(partitions))

    async def release(self, partitions: Sequence[int]) -> None:
        """See the port."""
        await call(self._handle, "release", list(partitions))


class Head:
    """Questions to Ray's head, which block while it is away: asked from one thread, never from the event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ray-head")
        self._asked: Future[Any] | None = None

    async def ask(self, question: Callable[[], T], *, timeout_s: float = HEAD_TIMEOUT_S) -> T:
        """Raises `Unavailable` where the head does not answer in time, or has not answered the last question yet."""
        if self._asked is not None and not self._asked.done():
            raise Unavailable("the Ray head has not answered yet")
        self._asked = self._thread.submit(question)
        answered = asyncio.wrap_future(self._asked)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(answered)
        except TimeoutError:
            # Nobody waits for it any more, and its failure is no surprise.
            answered.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise Unavailable(f"the Ray head did not answer within {timeout_s:g} s") from None
        except (ray.exceptions.RayError, ValueError, ConnectionError) as error:
            raise Unavailable(f"the Ray head cannot do it: {error}") from error


class RayPlacement:
    """Implements `iot_system.ports.placement.Placement`."""

    def __init__(self, namespace: str, make_shard: Callable[[str, str], Factory]) -> None:
        self._namespace = namespace
        self._make_shard = make_shard
        self._head = Head()
        self._nodes: list[str] = []
        self._shards: dict[str, RayShard] = {}

    async def nodes(self) -> list[str]:
        """See the port. While the head is away, those that it named last: who of them lives, their shards say."""
        try:
            nodes = await self._head.ask(ray.nodes)
        except Unavailable:
            if not self._nodes:
                raise
        else:
            self._nodes = sorted(
                node["NodeID"] for node in nodes if node["Alive"] and node["Resources"].get(NODE_RESOURCE)
            )
            self._shards = {name: shard for name, shard in self._shards.items() if shard.node in self._nodes}
        return self._nodes

    async def ensure_shards(self, node: str, count: int) -> list[ShardHandle]:
        """See the port."""
        names = [f"shard-{node[:12]}-{number}" for number in range(count)]
        for name in names:
            if name not in self._shards:
                start = partial(
                    host,
                    name,
                    self._namespace,
                    self._make_shard(name, node),
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                )
                self._shards[name] = RayShard(name, node, await self._head.ask(start))
        return [self._shards[name] for name in names]
