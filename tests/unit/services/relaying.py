"""A behaviour whose actors talk to each other across partitions, and count what they hear."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from iot_system.actors.device import DeviceActor
from iot_system.actors.effects import Effect, Remember, SetTimer, Tell
from iot_system.domain.addresses import Address
from iot_system.domain.history import Reading

NAME = f"{__name__}:Relaying"


class Relaying(DeviceActor):
    """Tells each reading to the device that its label ``to`` names; what it is told, it tells on after a while."""

    __slots__ = ()

    def on_reading(self, reading: Reading) -> Iterable[Effect]:
        yield Tell(Address("device", self.device.labels["to"]), "first", reading.value)

    def on_message(self, sender: Address, name: str, payload: Any) -> Iterable[Effect]:
        heard = [*self.memory.get(name, []), payload]
        yield Remember({name: heard})
        if name == "first":
            yield Remember({"waiting": [*self.memory.get("waiting", []), payload]})
            yield SetTimer("on", 0.5)

    def on_timer(self, name: str) -> Iterable[Effect]:
        for payload in self.memory["waiting"]:
            yield Tell(Address("device", self.device.labels["to"]), "second", payload)
        yield Remember({"waiting": []})
