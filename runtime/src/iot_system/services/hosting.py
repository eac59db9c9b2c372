"""What runs inside Ray's actor processes: each reads its settings from its pod's environment."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial

from iot_system.actors.time_limit import HANDLERS
from iot_system.adapters.addresses import remember_addresses
from iot_system.adapters.nats.connection import connect, disconnect
from iot_system.adapters.nats.requests import NatsRequests
from iot_system.adapters.nats.stream import NatsStream
from iot_system.adapters.ray.apart import stay_apart
from iot_system.adapters.ray.host import Factory
from iot_system.adapters.ray.placement import RayPlacement
from iot_system.adapters.stores import is_in_memory, open_store
from iot_system.garbage import collect_seldom
from iot_system.logs import set_up_logs
from iot_system.ports.clock import SystemClock
from iot_system.services.coordinator import Coordinator
from iot_system.services.shard import Shard
from iot_system.settings import ActorSystemSettings, ShardSettings, read_settings


class RunningShard(Shard):
    """A shard with the connections that are its own."""

    opened: contextlib.AsyncExitStack

    async def stop(self) -> None:
        """Release everything, then close what belongs to it."""
        await super().stop()
        await self.opened.aclose()


class RunningCoordinator(Coordinator):
    """A coordinator in a process of its own, where nobody but Ray ends it."""

    staying_apart: asyncio.Task[None]


async def start_shard(settings: ShardSettings, name: str, node: str) -> RunningShard:
    """Connect and start a shard. Raises `Unavailable` where the broker, a stream or the store is missing."""
    HANDLERS.limit_s = settings.handler_timeout_s
    async with contextlib.AsyncExitStack() as opened:
        store = open_store(settings.database_url, settings.database_tls)
        opened.push_async_callback(store.stop)
        await store.start()
        client = await connect(settings.broker, name=name)
        opened.push_async_callback(disconnect, client)
        stream = NatsStream(client, settings.stream)
        stream_id = await stream.identity()
        if is_in_memory(settings.database_url):
            # What the stream holds belongs to registrations that went with the last process.
            await stream.clear()
        shard = RunningShard(
            name=name,
            node=node,
            store=store,
            stream=stream,
            requests=NatsRequests(client),
            clock=SystemClock(),
            partitions=settings.stream.partitions,
            stream_id=stream_id,
            passivate_after_s=settings.passivate_after_s,
            retention_days=settings.retention_days,
        )
        await shard.start()
        shard.opened = opened.pop_all()
    return shard


async def shard_on_ray(name: str, node: str) -> RunningShard:
    """The shard ``name`` in a process of its own."""
    settings = read_settings(ActorSystemSettings)
    set_up_logs(settings.process.log_level, service="shard", shard=name, node=node)
    remember_addresses()
    shard = await start_shard(settings.shard, name, node)
    collect_seldom()
    return shard


async def coordinator_on_ray() -> RunningCoordinator:
    """The coordinator, on any node, best on one that is not lost with Ray's head."""
    settings = read_settings(ActorSystemSettings)
    set_up_logs(settings.process.log_level, service="coordinator")
    coordinator = RunningCoordinator(
        RayPlacement(settings.cluster_name, _factory),
        partitions=settings.shard.stream.partitions,
        shards_per_node=settings.shards_per_node,
    )
    await coordinator.start()
    coordinator.staying_apart = asyncio.create_task(stay_apart())
    return coordinator


def _factory(name: str, node: str) -> Factory:
    return partial(shard_on_ray, name, node)
