"""The actor-system pod: a Ray node and its shards; hands its partitions over before it ends."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Protocol, cast

import structlog

from iot_system.adapters.local.placement import LocalPlacement
from iot_system.adapters.nats.connection import connect as connect_broker
from iot_system.adapters.nats.connection import disconnect
from iot_system.adapters.nats.stream import NatsStream
from iot_system.adapters.ray import host as on_ray
from iot_system.adapters.ray import node as ray_node
from iot_system.adapters.ray.apart import apart_from_head
from iot_system.adapters.ray.machines import NODE_RESOURCE
from iot_system.adapters.ray.placement import Head
from iot_system.adapters.stores import is_in_memory, open_store
from iot_system.errors import InvalidSetting, Unavailable
from iot_system.services.coordinator import Coordinator, Overview
from iot_system.services.hosting import RunningShard, coordinator_on_ray, start_shard
from iot_system.services.waiting import wait_for
from iot_system.settings import ActorSystemSettings, ShardSettings

CHECK_S = 0.5
STALE_S = 30.0
COORDINATOR = "coordinator"
HOSTED_BY = coordinator_on_ray.__module__
ASK_TIMEOUT_S = 3.0
START_TIMEOUT_S = 60.0
log = structlog.get_logger()


class Members(Protocol):
    """This pod's part in the cluster, by either placement."""

    async def start(self) -> str:
        """Join; returns this node's id."""
        ...

    async def overview(self) -> Overview: ...

    async def drain(self, node: str) -> Overview: ...

    def why_not_alive(self) -> str | None: ...

    async def stop(self) -> None: ...


class ActorSystem:
    """Implements `iot_system.ports.health.Health`; start returns when ready, stop drains."""

    def __init__(self, settings: ActorSystemSettings) -> None:
        if is_in_memory(settings.shard.database_url) and (settings.shards_per_node > 1 or settings.ray_address):
            raise InvalidSetting(
                "DATABASE_URL is sqlite:///:memory:, which no two shards share: leave IOT_RAY_ADDRESS and "
                "IOT_SHARDS_PER_NODE out, or use a file or Postgres"
            )
        self._settings = settings
        self._members: Members = LocalMembers(settings) if settings.placement == "local" else RayMembers(settings)
        self._node = ""
        self._missing: str | None = "starting"
        self._watching: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    def why_not_alive(self) -> str | None:
        """See `iot_system.ports.health.Health`."""
        return self._members.why_not_alive()

    def why_not_ready(self) -> str | None:
        """See `iot_system.ports.health.Health`."""
        return self._missing or self._members.why_not_alive()

    async def start(self) -> None:
        """Wait for database and broker, join Ray, and return when this node serves its first partition."""
        await wait_for(partial(check_dependencies, self._settings.shard), missing=self._say)
        self._node = await wait_for(self._members.start, missing=self._say)
        log.info("joined", node=self._node)
        serving = asyncio.Event()
        self._watching = asyncio.create_task(self._watch(serving))
        await serving.wait()

    async def stop(self) -> None:
        """Hand all partitions over, then leave; idempotent."""
        self._say("stopping")
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.process.drain_timeout_s):
                    await self._drain()
        await self._members.stop()

    async def _drain(self) -> None:
        while True:
            try:
                overview = await self._members.drain(self._node)
            except Unavailable as error:
                log.warning("cannot hand over yet", why=str(error))
            else:
                if overview.has_left(self._node):
                    log.info("handed over", node=self._node)
                    return
            await asyncio.sleep(0.2)

    async def _watch(self, serving: asyncio.Event) -> None:
        """Ready while this node serves; a coordinator that is away for a moment changes nothing."""
        heard_s = asyncio.get_running_loop().time()
        while self._members.why_not_alive() is None:
            try:
                overview = await self._members.overview()
            except Unavailable as error:
                if asyncio.get_running_loop().time() - heard_s > STALE_S:
                    self._say(str(error))
            else:
                heard_s = asyncio.get_running_loop().time()
                self._missing = why_not_serving(overview, self._node)
                if self._missing is None:
                    serving.set()
            await asyncio.sleep(CHECK_S)
        log.error("cannot go on", why=self._members.why_not_alive())
        self._ended.set()

    async def wait_for_end(self) -> None:
        """Return when this node cannot go on (its Ray processes ended): the pod starts again from nothing."""
        await self._ended.wait()

    def _say(self, missing: str) -> None:
        self._missing = missing


def why_not_serving(overview: Overview, node: str) -> str | None:
    """A node serves when a shard of it owns a partition, or when there are too few partitions for every shard."""
    shards = [name for name, (where, _) in overview.shards.items() if where == node]
    if not shards:
        return "no shard of this node answers yet"
    if overview.owned_on(node) or (overview.complete and len(overview.shards) > overview.partitions):
        return None
    return "no partition is served by this node yet"


async def check_dependencies(settings: ShardSettings) -> None:
    """Raises `Unavailable` with what is missing: the database, its schema, the broker, or a stream."""
    store = open_store(settings.database_url, settings.database_tls)
    try:
        await store.start()
    finally:
        await store.stop()
    client = await connect_broker(settings.broker, name="actor-system")
    try:
        await NatsStream(client, settings.stream).identity()
    finally:
        await disconnect(client)


class LocalMembers:
    """Coordinator and shards in this process."""

    def __init__(self, settings: ActorSystemSettings) -> None:
        self._shards: list[RunningShard] = []
        self._settings = settings
        self._coordinator = Coordinator(
            LocalPlacement(self._make_shard),
            partitions=settings.shard.stream.partitions,
            shards_per_node=settings.shards_per_node,
        )

    async def _make_shard(self, name: str, node: str) -> RunningShard:
        self._shards.append(await start_shard(self._settings.shard, name, node))
        return self._shards[-1]

    async def start(self) -> str:
        await self._coordinator.start()
        return "local"

    async def overview(self) -> Overview:
        return await self._coordinator.overview()

    async def drain(self, node: str) -> Overview:
        return await self._coordinator.drain(node)

    def why_not_alive(self) -> str | None:
        return next((reason for shard in self._shards if (reason := shard.why_not_alive())), None)

    async def stop(self) -> None:
        await self._coordinator.stop()
        for shard in self._shards:
            await shard.stop()


class RayMembers:
    """This pod's Ray node, and the coordinator wherever it runs."""

    def __init__(self, settings: ActorSystemSettings) -> None:
        self._settings = settings
        self._head = Head()
        address, head, shards = settings.address, settings.ray_address, settings.shards_per_node
        self._child = (
            ray_node.RayNode.worker(address, head, ray_node.Hosting(shards, HOSTED_BY), settings.machine)
            if head
            else ray_node.RayNode.single(address, ray_node.Hosting(shards + 1, HOSTED_BY))  # one for the coordinator
        )
        self._coordinator: on_ray.Handle | None = None
        self._node = ""
        self._problems: dict[str, str] = {}

    async def start(self) -> str:
        settings = self._settings
        if not self._child.running:  # a machine that is too busy lets Ray give up at its start
            await self._head.ask(ray_node.disconnect)  # from one that has ended
            await self._child.start()
        await self._child.reach_head()
        connect = partial(ray_node.connect, settings.cluster_name, head=self._child.gcs, address=settings.address)
        self._node = await self._head.ask(connect, timeout_s=START_TIMEOUT_S)
        await self._reach_coordinator()
        return self._node

    async def _reach_coordinator(self) -> on_ray.Handle:
        """Make it where there is none. Raises `Unavailable` where the head does not answer."""
        self._coordinator = await self._head.ask(
            lambda: on_ray.host(
                COORDINATOR,
                self._settings.cluster_name,
                coordinator_on_ray,
                resources={NODE_RESOURCE: 0.001},
                **apart_from_head(),
            )
        )
        return self._coordinator

    async def overview(self) -> Overview:
        overview = await self._ask("overview")
        self._problems = overview.problems
        return overview

    async def drain(self, node: str) -> Overview:
        return await self._ask("drain", node)

    async def _ask(self, method: str, *arguments: str) -> Overview:
        coordinator = self._coordinator or await self._reach_coordinator()
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                return cast("Overview", await on_ray.call(coordinator, method, *arguments))
        except on_ray.Gone:
            self._coordinator = None
            raise
        except TimeoutError:
            raise Unavailable("the coordinator does not answer") from None

    def why_not_alive(self) -> str | None:
        return self._child.why_not_alive() or self._problems.get(self._node)

    async def stop(self) -> None:
        # Leaving may wait for a head that is gone; the pod ends anyway.
        with contextlib.suppress(Unavailable):
            await self._head.ask(ray_node.disconnect)
        await self._child.stop()
