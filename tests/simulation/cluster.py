"""Nodes with a shard each, gateways and a coordinator, as processes that die and are started again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from iot_system.errors import Unavailable
from iot_system.ports.placement import ShardHandle, ShardStatus
from iot_system.services.coordinator import Coordinator
from iot_system.services.gateway import ActorGateway
from iot_system.services.shard import Shard

from tests.simulation.broker import Broker
from tests.simulation.history import FAULT
from tests.simulation.network import Connection, Network
from tests.simulation.processes import Process
from tests.simulation.seeded_loop import SeededLoop
from tests.simulation.storing import StoreClient, WatchedStore
from tests.simulation.transport import BrokerClient

EPOCH_US = 1_700_000_000_000_000
START_AGAIN_S = 0.5
CALL_TIMEOUT_S = 30.0
T = TypeVar("T")


class ProcessClock:
    """Implements `iot_system.ports.clock.Clock` by the loop's time and the process's skew."""

    def __init__(self, loop: SeededLoop, process: Process) -> None:
        self._loop = loop
        self._process = process
        self._last_us = 0

    def now_us(self) -> int:
        now_us = EPOCH_US + int(self._loop.time() * 1e6) + self._process.skew_us
        self._last_us = max(self._last_us + 1, now_us)
        return self._last_us

    def monotonic_s(self) -> float:
        return self._loop.time()


class Place(Generic[T]):
    """Where one process after another runs; ``current`` is what runs there, once it has started."""

    def __init__(self, name: str, begin: Callable[[Process], Awaitable[T]]) -> None:
        self.name = name
        self.process = Process(name)
        self.process.is_dead = True
        self.current: T | None = None
        self._begin = begin

    def start(self, loop: SeededLoop, process: Process) -> None:
        """Run ``process`` here from now on."""
        self.process, self.current = process, None
        loop.spawn(process, self._run(process))

    async def _run(self, process: Process) -> None:
        while True:
            try:
                self.current = await self._begin(process)
            except Unavailable:
                await asyncio.sleep(START_AGAIN_S)
            else:
                return


class Cluster:
    """``shards`` on nodes of their own, ``gateways``, and one coordinator, over one broker and one store."""

    def __init__(
        self,
        loop: SeededLoop,
        network: Network,
        broker: Broker,
        store: WatchedStore,
        *,
        shards: int,
        gateways: int,
        partitions: int,
        passivate_after_s: float,
    ) -> None:
        self.loop = loop
        self.network = network
        self.broker = broker
        self.store = store
        self.partitions = partitions
        self._passivate_after_s = passivate_after_s
        self._lives = 0
        self.shards = [Place(f"shard-{number}", self._begin_shard) for number in range(shards)]
        self.gateways = [Place(f"gateway-{number}", self._begin_gateway) for number in range(gateways)]
        self.coordinator = Place("coordinator", self._begin_coordinator)

    @property
    def places(self) -> list[Place[Shard] | Place[ActorGateway] | Place[Coordinator]]:
        """All of them."""
        return [*self.shards, *self.gateways, self.coordinator]

    def start(self) -> None:
        """Everything."""
        for place in self.places:
            place.start(self.loop, Process(place.name))

    def kill(self, place: Place[Any], *, for_s: float) -> None:
        """Its process is gone, and another one starts there after ``for_s``."""
        self.network.history.note(FAULT, "kills {} for {:.3f} s", place.name, for_s)
        process = place.process
        self.loop.kill(process)
        self.broker.forget(process)
        self.loop.call_later(for_s, self.start_again, place, context=self.loop.nobody.context)

    def start_again(self, place: Place[Any]) -> None:
        """If nothing runs there."""
        if place.process.is_dead:
            self.network.history.note("cluster", "starts {}", place.name)
            place.start(self.loop, Process(place.name))

    def heal(self) -> None:
        """Everything runs again."""
        for place in self.places:
            self.loop.thaw(place.process)
            self.start_again(place)

    async def _begin_shard(self, process: Process) -> Shard:
        client = BrokerClient(self.network, self.broker, process)
        shard = Shard(
            name=process.name,
            node=process.name,
            store=StoreClient.of(self.network, self.store, process),
            stream=client.stream,
            requests=client.requests,
            clock=ProcessClock(self.loop, process),
            partitions=self.partitions,
            stream_id=self.broker.log.identity,
            passivate_after_s=self._passivate_after_s,
        )
        await shard.start()
        return shard

    async def _begin_gateway(self, process: Process) -> ActorGateway:
        client = BrokerClient(self.network, self.broker, process)
        gateway = ActorGateway(
            client.stream,
            client.requests,
            ProcessClock(self.loop, process),
            events=client.events,
            readings=client.readings,
            partitions=self.partitions,
            admin_token=None,
        )
        self._lives += 1
        gateway.name = f"{process.name}-{self._lives}"  # its own is drawn without the seed
        await gateway.start()
        return gateway

    async def _begin_coordinator(self, process: Process) -> Coordinator:
        placement = SimulatedPlacement(self, process)
        coordinator = Coordinator(placement, partitions=self.partitions, shards_per_node=1)
        await coordinator.start()
        return coordinator


class SimulatedPlacement:
    """Implements `iot_system.ports.placement.Placement` for the coordinator in ``process``."""

    def __init__(self, cluster: Cluster, process: Process) -> None:
        self._handles = {place.name: SimulatedShard(cluster.network, process, place) for place in cluster.shards}

    async def nodes(self) -> list[str]:
        return list(self._handles)

    async def ensure_shards(self, node: str, count: int) -> list[ShardHandle]:
        return [self._handles[node]]


class SimulatedShard:
    """Implements `iot_system.ports.placement.ShardHandle` for whatever runs in ``place``, as Ray's names do."""

    def __init__(self, network: Network, process: Process, place: Place[Shard]) -> None:
        self.name = place.name
        self.node = place.name
        self._network = network
        self._process = process
        self._place = place

    async def status(self) -> ShardStatus:
        return await self._call("status", lambda shard: shard.status())

    async def claim(self, partitions: Sequence[int]) -> None:
        await self._call(f"claim {partitions}", lambda shard: shard.claim(partitions))

    async def release(self, partitions: Sequence[int]) -> None:
        await self._call(f"release {partitions}", lambda shard: shard.release(partitions))

    async def _call(self, what: str, work: Callable[[Shard], Awaitable[T]]) -> T:
        shard, process = self._place.current, self._place.process
        if shard is None or process.is_dead:
            raise Unavailable(f"{self.name} does not run")
        connection = Connection(self._network, self._process, process)
        return await connection.call(
            f"{what} to {self.name}", partial(work, shard), timeout_s=CALL_TIMEOUT_S, waits=True
        )
