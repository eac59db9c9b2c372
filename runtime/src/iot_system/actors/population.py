"""Which actors of a partition are in memory."""

from __future__ import annotations

from collections.abc import Sequence

from iot_system.actors.behaviours import device_actor, room_actor
from iot_system.actors.device import DeviceActor
from iot_system.actors.room import RoomActor
from iot_system.domain.commands import Command
from iot_system.domain.registry import Device, Room
from iot_system.domain.twin import DeviceState, RoomState


class Population:
    """Actors come when they are needed and go when they are idle; their states live in the store."""

    def __init__(self) -> None:
        self.devices: dict[str, DeviceActor] = {}
        self.rooms: dict[str, RoomActor] = {}

    def activate_device(self, device: Device, state: DeviceState, open_commands: Sequence[Command] = ()) -> DeviceActor:
        """Bring a device's actor into memory, or give the one that is there its changed registration.

        ``open_commands`` are those not at their end, in the order of their creation.
        """
        actor = self.devices.get(device.id)
        if actor is None:
            actor = self.devices[device.id] = device_actor(device, state, open_commands)
        elif actor.device.behaviour != device.behaviour:
            actor = self.devices[device.id] = device_actor(device, actor.state, list(actor.commands.values()))
        actor.device = device
        return actor

    def activate_room(self, room: Room, state: RoomState) -> RoomActor:
        """Bring a room's actor into memory, or give the one that is there its changed registration."""
        actor = self.rooms.get(room.id)
        if actor is None or actor.room.behaviour != room.behaviour:
            actor = self.rooms[room.id] = room_actor(room, actor.state if actor else state)
        actor.room = room
        return actor

    def passivate(self, *, idle_since_us: int) -> int:
        """Let go of actors not used since then; their state is committed. Returns how many."""
        idle_devices = [id_ for id_, actor in self.devices.items() if actor.now_us < idle_since_us]
        idle_rooms = [id_ for id_, room in self.rooms.items() if room.now_us < idle_since_us]
        for id_ in idle_devices:
            del self.devices[id_]
        for id_ in idle_rooms:
            del self.rooms[id_]
        return len(idle_devices) + len(idle_rooms)
