"""Behaviours: subclasses of `DeviceActor` or `RoomActor`, loaded by their dotted name (``package.module:Class``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

import structlog

from iot_system.actors.actor import MISTAKES, Actor
from iot_system.actors.device import DeviceActor
from iot_system.actors.room import RoomActor
from iot_system.actors.time_limit import HANDLERS
from iot_system.domain.commands import Command
from iot_system.domain.payloads import plain
from iot_system.domain.registry import Device, Room
from iot_system.domain.twin import STATE_LIMIT, DeviceState, RoomState
from iot_system.errors import InvalidInput

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

VERSION_LIMIT = 2**31
OneActor = TypeVar("OneActor", bound=Actor)
log: FilteringBoundLogger = structlog.get_logger()


def load_behaviour(name: str) -> type[DeviceActor]:
    """Import a device's behaviour. Raises `InvalidInput` where ``name`` leads to no subclass of `DeviceActor`."""
    found = _load(name)
    if not (isinstance(found, type) and issubclass(found, DeviceActor)):
        raise InvalidInput(f"behaviour {name!r} is not a subclass of iot_system.actors.device:DeviceActor")
    return found


def load_room_behaviour(name: str) -> type[RoomActor]:
    """Import a room's behaviour. Raises `InvalidInput` where ``name`` leads to no subclass of `RoomActor`."""
    found = _load(name)
    if not (isinstance(found, type) and issubclass(found, RoomActor)):
        raise InvalidInput(f"behaviour {name!r} is not a subclass of iot_system.actors.room:RoomActor")
    return found


def device_actor(device: Device, state: DeviceState, commands: Sequence[Command]) -> DeviceActor:
    """A device's actor with its behaviour.

    A behaviour that could be loaded at registration may be gone from a later image: the device's readings still count.
    """
    try:
        behaviour = load_behaviour(device.behaviour)
        actor = HANDLERS.run(lambda: _migrated(behaviour(device, state)), of=(behaviour, "begin"))
    except MISTAKES as error:
        log.error("behaviour cannot be used", device=device.id, behaviour=device.behaviour, error=repr(error))
        actor = DeviceActor(device, state)
    actor.restore(commands)
    return actor


def room_actor(room: Room, state: RoomState) -> RoomActor:
    """A room's actor with its behaviour; a plain one where the behaviour cannot be used."""
    try:
        behaviour = load_room_behaviour(room.behaviour)
        actor = HANDLERS.run(lambda: _migrated(behaviour(room, state)), of=(behaviour, "begin"))
    except MISTAKES as error:
        log.error("behaviour cannot be used", room=room.id, behaviour=room.behaviour, error=repr(error))
        actor = RoomActor(room, state)
    return actor


def _migrated(actor: OneActor) -> OneActor:
    state = actor.state
    if type(actor.version) is not int or not 0 <= actor.version <= VERSION_LIMIT:
        raise TypeError(f"version is {actor.version!r}, not a whole number up to {VERSION_LIMIT}")
    if state.version == actor.version:
        return actor
    if state.extra:
        migrated = actor.migrate(actor.memory, state.version)
        if not isinstance(migrated, dict):
            raise TypeError(f"migrate returned {migrated!r}, not a dict")
        state.extra = plain(migrated, field="memory", limit=STATE_LIMIT)
    state.version = actor.version
    return actor


@cache
def _load(name: str) -> object:
    module_name, _, class_name = name.partition(":")
    if not (module_name and class_name):
        raise InvalidInput(f"behaviour {name!r} cannot be loaded: it must be like package.module:Class")
    try:
        found: object = getattr(import_module(module_name), class_name)
    except MISTAKES as error:  # importing runs the user's code
        raise InvalidInput(f"behaviour {name!r} cannot be loaded: {error}") from error
    return found
