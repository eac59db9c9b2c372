"""What no message brings about: actors that are due by time, and connections to gateways that have vanished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iot_system.actors.changes import Changes
from iot_system.domain.addresses import Address
from iot_system.domain.deliveries import Delivery, encode_deliveries
from iot_system.ports.clock import Clock
from iot_system.ports.requests import Requests
from iot_system.ports.store import Store
from iot_system.services.partition import Partition
from iot_system.services.turn import Share

VANISHED_S = 15.0
"""A gateway that was not heard of for so long is gone; it says that it lives every 2 s."""
STALLED_S = VANISHED_S / 2
"""A shard that has not looked for so long could not hear anybody either."""
LOST_AT_ONCE = 500
"""Connections that one turn ends."""
REMEMBERED_S = 3600.0
"""So long a gateway may come back and be asked who is still connected to it."""
ASKED_AT_ONCE = 5_000
"""Connections in one message, so that it fits the broker."""


class DueActors:
    """Implements `iot_system.services.turn.Work` for the actors that are due by ``now_us``."""

    def __init__(self, owned: Mapping[int, Partition], *, now_us: int) -> None:
        self._now_us = now_us
        found = ((partition, partition.actors.due(now_us)) for partition in owned.values())
        self._due: list[tuple[Partition, list[Address]]] = [(partition, due) for partition, due in found if due]

    @property
    def partitions(self) -> list[int]:
        """See `Loaded.partitions`."""
        return [partition.number for partition, _ in self._due]

    async def load(self, store: Store) -> None:
        """See `Loaded.load`."""
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
        self.ended: list[Delivery] = []
        """What asks the gateway, should it come back, whether they are still there."""
        found = ((one, one.actors.connected_to(gateway)[:LOST_AT_ONCE]) for one in owned.values())
        self._lost: list[tuple[Partition, list[str]]] = [(partition, lost) for partition, lost in found if lost]

    @property
    def partitions(self) -> list[int]:
        """See `Loaded.partitions`."""
        return [partition.number for partition, _ in self._lost]

    async def load(self, store: Store) -> None:
        """See `Loaded.load`."""
        for partition, devices in self._lost:
            await partition.activate(devices, [], store)

    def apply(self) -> list[Share]:
        """See `Work.apply`."""
        shares = []
        for partition, devices in self._lost:
            changes = Changes()
            self.ended += partition.actors.lose_gateway(self._gateway, devices, changes, now_us=self._now_us)
            shares.append(Share(partition, changes))
        return shares


class Gateways:
    """Which gateways live: counted from when this shard began to listen, or first met them.

    One that was taken for vanished may have been cut off only. When it is heard of again, it is asked for the
    connections that were ended, and tells those that are still there anew.
    """

    def __init__(self, requests: Requests, clock: Clock) -> None:
        self._requests = requests
        self._clock = clock
        self._heard_s: dict[str, float] = {}
        self._looked_s = clock.monotonic_s()
        self._ended: dict[str, tuple[float, list[Delivery]]] = {}
        """By gateway: when it was lost, and what is to be asked."""

    async def start(self) -> None:
        """Hear who lives."""
        await self._requests.on_alive(self._on_alive)

    def begin_anew(self) -> None:
        """This shard was cut off: who was silent meanwhile may live all the same."""
        self._heard_s.clear()

    def vanished(self, owned: Mapping[int, Partition]) -> list[str]:
        """Gateways that devices are connected to, and that have gone."""
        now_s, looked_s = self._clock.monotonic_s(), self._looked_s
        self._looked_s = now_s
        if now_s - looked_s > STALLED_S:
            self.begin_anew()
        wanted = {gateway for partition in owned.values() for gateway in partition.actors.gateways()}
        self._heard_s = {name: at_s for name, at_s in self._heard_s.items() if name in wanted or name in self._ended}
        return [name for name in sorted(wanted) if now_s - self._heard_s.setdefault(name, now_s) > VANISHED_S]

    def lost(self, gateway: str, ended: Sequence[Delivery]) -> None:
        """Connections to a gateway were ended, for it had vanished."""
        self._heard_s.pop(gateway, None)
        lost_s, before = self._ended.get(gateway, (self._clock.monotonic_s(), []))
        self._ended[gateway] = lost_s, [*before, *ended]

    async def ask_who_returned(self) -> None:
        """Ask gateways that were lost and live, who of them is still connected. Raises `Unavailable`."""
        now_s = self._clock.monotonic_s()
        for gateway, (lost_s, ended) in list(self._ended.items()):
            if gateway in self._heard_s:
                for part in range(0, len(ended), ASKED_AT_ONCE):
                    await self._requests.tell(gateway, encode_deliveries(ended[part : part + ASKED_AT_ONCE]))
                del self._ended[gateway]
            elif now_s - lost_s > REMEMBERED_S:
                del self._ended[gateway]

    def _on_alive(self, gateway: str) -> None:
        self._heard_s[gateway] = self._clock.monotonic_s()
