"""What no message brings about: actors that are due by time, and connections to gateways that have vanished."""

from __future__ import annotations

from collections.abc import Mapping

from iot_system.actors.changes import Changes
from iot_system.domain.addresses import Address
from iot_system.ports.clock import Clock
from iot_system.ports.requests import Requests
from iot_system.ports.store import Store
from iot_system.services.partition import Partition
from iot_system.services.turn import Share

VANISHED_S = 15.0
"""A gateway that was not heard of for so long is gone; it says that it lives every 2 s."""
LOST_AT_ONCE = 500
"""Connections that one turn ends."""


class DueActors:
    """Implements `iot_system.services.turn.Work` for the actors that are due by ``now_us``."""

    def __init__(self, owned: Mapping[int, Partition], *, now_us: int) -> None:
        self._now_us = now_us
        found = ((partition, partition.actors.due(now_us)) for partition in owned.values())
        self._due: list[tuple[Partition, list[Address]]] = [(partition, due) for partition, due in found if due]

    @property
    def partitions(self) -> list[int]:
        """See `Work.partitions`."""
        return [partition.number for partition, _ in self._due]

    async def load(self, store: Store) -> None:
        """See `Work.load`."""
        for partition, due in self._due:
            devices = [address.id for address in due if address.kind == "device"]
            await partition.activate(devices, [address.id for address in due if address.kind == "room"], store)

    def apply(self) -> list[Share]:
        """See `Work.apply`."""
        shares = []
        for partition, due in self._due:
            changes = Changes()
            for address in due:
                partition.actors.fire(address, changes, now_us=self._now_us)
            shares.append(Share(partition, changes))
        return shares


class LostConnections:
    """Implements `iot_system.services.turn.Work` for some of the connections to ``gateway``, which has vanished."""

    def __init__(self, owned: Mapping[int, Partition], gateway: str, *, now_us: int) -> None:
        self._gateway = gateway
        self._now_us = now_us
        found = ((one, one.actors.connected_to(gateway)[:LOST_AT_ONCE]) for one in owned.values())
        self._lost: list[tuple[Partition, list[str]]] = [(partition, lost) for partition, lost in found if lost]

    @property
    def partitions(self) -> list[int]:
        """See `Work.partitions`."""
        return [partition.number for partition, _ in self._lost]

    async def load(self, store: Store) -> None:
        """See `Work.load`."""
        for partition, devices in self._lost:
            await partition.activate(devices, [], store)

    def apply(self) -> list[Share]:
        """See `Work.apply`."""
        shares = []
        for partition, devices in self._lost:
            changes = Changes()
            partition.actors.lose_gateway(self._gateway, devices, changes, now_us=self._now_us)
            shares.append(Share(partition, changes))
        return shares


class Gateways:
    """Which gateways live: counted from when this shard began to listen, or first met them."""

    def __init__(self, requests: Requests, clock: Clock) -> None:
        self._requests = requests
        self._clock = clock
        self._heard_s: dict[str, float] = {}

    async def start(self) -> None:
        """Hear who lives."""
        await self._requests.on_alive(self._on_alive)

    def begin_anew(self) -> None:
        """This shard was cut off: who was silent meanwhile may live all the same."""
        self._heard_s.clear()

    def vanished(self, owned: Mapping[int, Partition]) -> list[str]:
        """Gateways that devices are connected to, and that have gone."""
        now_s = self._clock.monotonic_s()
        wanted = {gateway for partition in owned.values() for gateway in partition.actors.gateways()}
        self._heard_s = {name: heard_s for name, heard_s in self._heard_s.items() if name in wanted}
        return [name for name in sorted(wanted) if now_s - self._heard_s.setdefault(name, now_s) > VANISHED_S]

    def _on_alive(self, gateway: str) -> None:
        self._heard_s[gateway] = self._clock.monotonic_s()
