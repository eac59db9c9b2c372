"""Users who give commands, and devices that are connected to get them and answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial

from iot_system.adapters.sqlite import commands as stored
from iot_system.domain import questions as q
from iot_system.domain.access import Principal
from iot_system.domain.commands import Command
from iot_system.domain.deliveries import Delivery
from iot_system.domain.signals import CommandAnswer, CommandDelivered, Connected, Signal
from iot_system.errors import IotError, Retry
from iot_system.services.asking import Asking
from iot_system.services.gateway import ActorGateway

from tests.simulation.cluster import EPOCH_US, Cluster, Place
from tests.simulation.network import Connection
from tests.simulation.processes import Process
from tests.simulation.transport import BrokerClient

DAY_US = 86_400_000_000
PATIENCE_S = 12.0
AGAIN_S = 0.5
HELD_S = 30.0
"""A device connects anew after this at the latest: nobody tells it that its gateway is gone."""


class Commanded:
    """A device that gets ``count`` commands, ``c0`` to the last, from a user."""

    def __init__(self, id_: str, count: int, cluster: Cluster, chance: random.Random) -> None:
        self.id = id_
        self.ids = [f"c{number}" for number in range(count)]
        self.user = Process(f"user-{id_}")
        self.process = Process(f"{id_}'s link")
        self._cluster = cluster
        self._history = cluster.network.history
        self._chance = chance
        self._principal = Principal("device", id_)
        self._connections = 0
        self._got: dict[str, None] = {}
        self._answered: set[str] = set()
        self._arrived: asyncio.Queue[list[Command]] = asyncio.Queue()

    async def give(self) -> None:
        """In the user: returns once all are given."""
        client = BrokerClient(self._cluster.network, self._cluster.broker, self.user)
        asking = Asking(client.requests, self._cluster.partitions)
        for id_ in self.ids:
            command = Command(
                id=id_, device=self.id, name="n", created_us=EPOCH_US, updated_us=EPOCH_US, expires_us=EPOCH_US + DAY_US
            )
            given = partial(asking.ask_owner, self.id, q.PutCommand(command), Command)
            await self._until(given, f"gives {id_} to {self.id}", self.user)

    async def obey(self) -> None:
        """In the device: returns once all were answered, and the answers are acknowledged."""
        while len(self._answered) < len(self.ids):
            place = self._chance.choice(self._cluster.gateways)
            connection = Connection(self._cluster.network, self.process, place.process)
            self._connections += 1
            name = f"{self.id}-{self._connections}"
            try:
                await connection.call(
                    f"{name} connects", partial(self._connect, place, name), timeout_s=PATIENCE_S, waits=True
                )
                async with asyncio.timeout(HELD_S * self._chance.random()):
                    while await self._answer(place, connection):
                        self._got.update(dict.fromkeys(one.id for one in await self._arrived.get()))
            except (IotError, TimeoutError):
                await asyncio.sleep(AGAIN_S)

    async def _connect(self, place: Place[ActorGateway], name: str) -> None:
        """In the gateway: what it is to deliver leaves by the same connection."""
        gateway = _running(place)
        back = Connection(self._cluster.network, place.process, self.process)

        def deliver(delivery: Delivery) -> None:
            if delivery.connection == name and delivery.commands:
                back.tell(f"commands to {name}", partial(self._arrived.put_nowait, delivery.commands))

        gateway.on_delivery(deliver)
        signal = Connected(self.id, gateway.name, name, gateway.now_us(), wants_desired=False, wants_commands=True)
        await self._say(gateway, [signal])

    async def _answer(self, place: Place[ActorGateway], connection: Connection) -> bool:
        """Answer what was not, or whose answer was not acknowledged; whether more is to come."""
        for id_ in [id_ for id_ in self._got if id_ not in self._answered]:

            async def answer(id_: str = id_) -> None:
                gateway = _running(place)
                delivered = CommandDelivered(self.id, id_, gateway.now_us())
                answered = CommandAnswer(self.id, id_, "succeeded", None, gateway.now_us())
                await self._say(gateway, [delivered, answered])

            await connection.call(f"{self.id} answers {id_}", answer, timeout_s=PATIENCE_S, waits=True)
            self._history.note(self.id, "is acknowledged its answer to {}", id_)
            self._answered.add(id_)
        return len(self._answered) < len(self.ids)

    async def _say(self, gateway: ActorGateway, signals: list[Signal]) -> None:
        for problem in await gateway.ingest(self._principal, signals):
            if problem is not None:
                raise problem

    async def _until(self, work: Callable[[], Awaitable[object]], what: str, who: Process) -> None:
        while True:
            try:
                await work()
            except Retry:
                await asyncio.sleep(AGAIN_S)
            else:
                self._history.note(who.name, what)
                return

    def broken(self) -> list[str]:
        """A sentence for each command that did not come to its end."""
        found = stored.find(self._cluster.store.connection, [(self.id, id_) for id_ in self.ids])
        status = {one.id: one.status for one in found}
        return [
            f"command {id_} of {self.id} is {status.get(id_)}, though its answer was acknowledged"
            for id_ in self.ids
            if status.get(id_) != "succeeded"
        ]


def _running(place: Place[ActorGateway]) -> ActorGateway:
    if place.current is None:
        raise Retry(f"{place.name} is only starting")
    return place.current
