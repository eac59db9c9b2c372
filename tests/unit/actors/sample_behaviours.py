"""Behaviours as users write them, good and bad; loaded by their dotted names."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, cast

from iot_system.actors.device import DeviceActor
from iot_system.actors.effects import (
    Alert,
    CancelTimer,
    Complete,
    Desire,
    Effect,
    Remember,
    Report,
    SendCommand,
    SetTimer,
    Tell,
)
from iot_system.actors.room import RoomActor
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command
from iot_system.domain.history import Reading
from iot_system.domain.registry import Device
from iot_system.domain.twin import DeviceState

HERE = __name__
log = logging.getLogger(__name__)


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


class NeverReturning(DeviceActor):
    """Does not return from a reading of ``bad``, and goes on after every mistake at one of ``worse``."""

    __slots__ = ()

    def on_reading(self, reading: Reading) -> Iterable[Effect]:
        while reading.metric == "bad":
            pass
        while reading.metric == "worse":
            try:
                sum(range(100))
            except Exception:
                log.exception("goes on")
        return [Remember({reading.metric: True})]


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


class Diary(DeviceActor):
    """Reports which handlers were called, in their order."""

    __slots__ = ()

    def _note(self, *what: Any) -> list[Effect]:
        return [Remember({"calls": [*self.memory.get("calls", []), list(what)]})]

    def on_reported(self, patch: dict[str, Any]) -> list[Effect]:
        return self._note("reported", patch)

    def on_desired(self, patch: dict[str, Any]) -> list[Effect]:
        return self._note("desired", patch)

    def on_command(self, command: Command) -> list[Effect]:
        return self._note("command", command.name, command.status)

    def on_command_result(self, command: Command) -> list[Effect]:
        return self._note("result", command.name, command.status)

    def on_connected(self) -> list[Effect]:
        return self._note("connected")

    def on_disconnected(self, reason: str) -> list[Effect]:
        return self._note("disconnected", reason)

    def on_message(self, sender: Address, name: str, payload: Any) -> list[Effect]:
        return self._note("message", sender.path, name, payload)

    def on_timer(self, name: str) -> list[Effect]:
        return self._note("timer", name)


class Obedient(DeviceActor):
    """Returns the effects that its device reports: ``{effect: arguments}``."""

    __slots__ = ()

    def on_reported(self, patch: dict[str, Any]) -> Iterable[Effect]:
        for name, arguments in patch.items():
            if arguments is not None:
                yield EFFECTS[name](**arguments)


EFFECTS: dict[str, type[Effect]] = {
    one.__name__: one for one in (Report, Remember, Desire, SendCommand, Complete, SetTimer, CancelTimer, Alert)
}


class Virtual(DeviceActor):
    """Answers the command ``add`` itself."""

    __slots__ = ()

    def on_command(self, command: Command) -> Iterable[Effect]:
        if command.name == "add":
            yield Complete(command.id, payload=sum(command.payload))


class Second(DeviceActor):
    """Its first version remembered ``{"count": n}``."""

    __slots__ = ()
    version = 2

    def migrate(self, extra: dict[str, Any], from_version: int) -> dict[str, Any]:
        if from_version == 3:
            raise ValueError("too new")
        return {"counts": {"all": extra["count"]}}


class Spoiling(DeviceActor):
    """Changes everything it can get hold of."""

    __slots__ = ()

    def on_desired(self, patch: dict[str, Any]) -> None:
        for thing in (patch, self.desired, self.memory):
            thing["spoilt"] = object()
            thing.setdefault("list", []).append(object())

    def on_command(self, command: Command) -> None:
        command.payload["spoilt"] = object()


class Endless(DeviceActor):
    """Asks for effects without end."""

    __slots__ = ()

    def on_reading(self, reading: Reading) -> Iterable[Effect]:
        while True:
            yield Remember({"n": 1})


class Chained(DeviceActor):
    """The first of its timers cancels the second and sets the third."""

    __slots__ = ()

    def on_connected(self) -> Iterable[Effect]:
        return [SetTimer("first", 1), SetTimer("second", 2), SetTimer("third", 3)]

    def on_timer(self, name: str) -> Iterable[Effect]:
        yield Report({"fired": name})
        if name == "first":
            yield CancelTimer("second")
            yield SetTimer("third", 1)


class Forwarding(DeviceActor):
    """Tells its readings to the room ``hall`` and to the device ``twin``."""

    __slots__ = ()

    def on_reading(self, reading: Reading) -> Iterable[Effect]:
        yield Tell(Address("room", "hall"), reading.metric, reading.value)
        yield Tell(Address("device", "twin"), reading.metric, reading.value)


class Warden(RoomActor):
    """Remembers all that it hears, wants doors shut above 30, and opens them by command."""

    __slots__ = ()

    def on_reading(self, device: str, reading: Reading) -> Iterable[Effect]:
        yield Remember({device: {reading.metric: reading.value}})
        if reading.metric == "temperature" and cast("float", reading.value) > 30:
            yield Desire({"door": "shut"})

    def on_member(self, device: str, joined: bool) -> Iterable[Effect]:
        yield Remember({"joined": {device: joined}})

    def on_message(self, sender: Address, name: str, payload: Any) -> Iterable[Effect]:
        yield Remember({"heard": [*self.memory.get("heard", []), [sender.path, name, payload]]})
        if name == "open":
            yield SendCommand("open", payload)

    def on_desired(self, patch: dict[str, Any]) -> Iterable[Effect]:
        if "after_s" in patch:
            yield SetTimer("later", patch["after_s"])

    def on_timer(self, name: str) -> Iterable[Effect]:
        yield Alert(name, "info", payload={"room": self.room.id})


class NoBehaviour:
    """Not a subclass of `DeviceActor`."""
