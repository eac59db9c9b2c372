"""Behaviours as users write them, good and bad; loaded by their dotted names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from iot_system.actors.device import DeviceActor
from iot_system.actors.effects import Effect, Remember, Report
from iot_system.domain.history import Reading
from iot_system.domain.registry import Device
from iot_system.domain.twin import DeviceState

HERE = __name__


class Counting(DeviceActor):
    """Remembers how many readings it saw, and reports the last metric."""

    __slots__ = ()

    def on_reading(self, reading: Reading) -> Iterable[Effect]:
        yield Remember({"seen": self.memory.get("seen", 0) + 1})
        yield Report({"last": reading.metric})


class Raising(DeviceActor):
    """Raises in the middle of its effects for the metric ``bad``."""

    __slots__ = ()

    def on_reading(self, reading: Reading) -> Iterable[Effect]:
        yield Remember({reading.metric: True})
        if reading.metric == "bad":
            raise RuntimeError("a mistake of the user")


class NotStorable(DeviceActor):
    """Returns a state that no store can hold."""

    __slots__ = ()

    def on_reading(self, reading: Reading) -> Iterable[Effect]:
        return [Remember({"kept": 1}), Report({"thing": object()})]


class NotAnEffect(DeviceActor):
    """Returns something else than effects."""

    __slots__ = ()

    def on_reading(self, reading: Reading) -> Iterable[Effect]:
        return cast("list[Effect]", [Remember({"kept": 1}), "no effect"])


class CannotBegin(DeviceActor):
    """Raises when it is made."""

    __slots__ = ()

    def __init__(self, device: Device, state: DeviceState) -> None:
        raise KeyError("a mistake of the user")


class NoBehaviour:
    """Not a subclass of `DeviceActor`."""
