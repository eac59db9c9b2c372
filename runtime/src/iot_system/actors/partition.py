"""All actors of one partition that are in memory, and what frames change in them. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog

from iot_system.actors.behaviours import load_behaviour
from iot_system.actors.device import DeviceActor
from iot_system.actors.room import RoomActor
from iot_system.domain.frames import ActorFrame, RoomReadings, encode_frame
from iot_system.domain.history import Reading
from iot_system.domain.readings import Telemetry, Value
from iot_system.domain.registry import Device
from iot_system.domain.twin import DeviceState, RoomState

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

ACTOR_FRAME_BYTES = 4 * 1024 * 1024
"""A frame from actors stays below this, half of what the broker takes: rooms' names may outweigh the readings."""
log: FilteringBoundLogger = structlog.get_logger()


class Changes:
    """What a batch of frames changed: the makings of one commit."""

    __slots__ = ("devices", "outbox", "readings", "received", "rooms")

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.devices: dict[str, DeviceState] = {}
        self.rooms: dict[str, RoomState] = {}
        self.received: dict[int, int] = {}
        self.outbox: list[tuple[int, int, bytes]] = []


class PartitionActors:
    """The device and room actors of one partition.

    ``received`` and ``sent`` number the messages between actors per source and per target partition.
    """

    def __init__(
        self,
        partition: int,
        *,
        received: dict[int, int],
        sent: dict[int, int],
        partition_of: Callable[[str], int],
    ) -> None:
        self.partition = partition
        self.devices: dict[str, DeviceActor] = {}
        self.rooms: dict[str, RoomActor] = {}
        self._received = received
        self._sent = sent
        self._partition_of = partition_of

    def activate_device(self, device: Device, state: DeviceState) -> DeviceActor:
        """Bring a device's actor into memory, or give the one that is there its changed registration."""
        actor = self.devices.get(device.id)
        if actor is None or actor.device.behaviour != device.behaviour:
            actor = self.devices[device.id] = _actor_of(device, actor.state if actor else state)
        actor.device = device
        return actor

    def activate_room(self, id_: str, state: RoomState) -> RoomActor:
        """Bring a room's actor into memory."""
        return self.rooms.setdefault(id_, RoomActor(id_, state))

    def passivate(self, *, idle_since_s: float) -> int:
        """Let go of actors not used since then; their state is committed. Returns how many."""
        idle_devices = [id_ for id_, actor in self.devices.items() if actor.last_used_s < idle_since_s]
        idle_rooms = [id_ for id_, room in self.rooms.items() if room.last_used_s < idle_since_s]
        for id_ in idle_devices:
            del self.devices[id_]
        for id_ in idle_rooms:
            del self.rooms[id_]
        return len(idle_devices) + len(idle_rooms)

    def receive_telemetry(
        self,
        messages: Iterable[Telemetry],
        changes: Changes,
        *,
        stored: set[tuple[str, str, int]],
        now_s: float,
    ) -> int:
        """Hand the messages of a device frame to their actors; returns how many had none (no longer registered).

        ``stored``: the readings among them that the history has, this batch's earlier frames included (see
        `DeviceActor.receive`).
        """
        for_rooms: dict[str, list[tuple[str, int, dict[str, Value]]]] = {}
        orphans = 0
        for message in messages:
            actor = self.devices.get(message.device)
            if actor is None:
                orphans += 1
                continue
            actor.last_used_s = now_s
            if actor.is_resent(message):
                continue
            fresh = actor.receive(message, stored)
            changes.devices[message.device] = actor.state
            if not fresh:
                continue
            changes.readings += fresh
            if type(actor).on_reading is not DeviceActor.on_reading:
                self._react(actor, fresh)
            if (room := actor.device.room) is not None:
                values = message.values
                if len(fresh) < len(values):
                    values = {reading.metric: reading.value for reading in fresh}
                for_rooms.setdefault(room, []).append((message.device, message.time_us, values))
        self._send(for_rooms, changes)
        return orphans

    def receive_from_actors(self, frame: ActorFrame, changes: Changes, *, now_s: float) -> int:
        """Hand messages of other actors to their rooms, once; returns how many frames before it never came.

        A source publishes a number only once the broker has all before it, so these are lost with the stream itself:
        waiting for them would lose all that follow, too.
        """
        last = self._received.get(frame.source, 0)
        if frame.number <= last:
            return 0
        self._received[frame.source] = changes.received[frame.source] = frame.number
        for message in frame.messages:
            room = self.rooms[message.room]
            room.last_used_s = now_s
            for device, time_us, values in message.readings:
                room.receive(device, time_us, values)
            changes.rooms[message.room] = room.state
        return frame.number - last - 1

    def _react(self, actor: DeviceActor, fresh: list[Reading]) -> None:
        for reading in fresh:
            try:
                actor.apply(actor.on_reading(reading) or ())
            except Exception as error:  # noqa: BLE001 - a behaviour is the user's code: it harms its own actor only
                log.error(
                    "behaviour raised", device=reading.device, behaviour=actor.device.behaviour, error=repr(error)
                )

    def _send(self, for_rooms: dict[str, list[tuple[str, int, dict[str, Value]]]], changes: Changes) -> None:
        """One frame per target partition, or several where it would be too large; numbered."""
        by_target: dict[int, list[RoomReadings]] = {}
        for room, readings in for_rooms.items():
            by_target.setdefault(self._partition_of(room), []).append(RoomReadings(room, readings))
        for target, messages in by_target.items():
            self._send_to(target, messages, changes)

    def _send_to(self, target: int, messages: list[RoomReadings], changes: Changes) -> None:
        number = self._sent.get(target, 0) + 1
        data = encode_frame(ActorFrame(self.partition, number, messages))
        if len(data) > ACTOR_FRAME_BYTES and (halves := _halves(messages)):
            for half in halves:
                self._send_to(target, half, changes)
            return
        self._sent[target] = number
        changes.outbox.append((target, number, data))


def _halves(messages: list[RoomReadings]) -> list[list[RoomReadings]]:
    """The same in two parts, in its order; none where there is but one reading."""
    middle = len(messages) // 2
    if middle:
        return [messages[:middle], messages[middle:]]
    room, readings = messages[0].room, messages[0].readings
    middle = len(readings) // 2
    return [[RoomReadings(room, part)] for part in (readings[:middle], readings[middle:])] if middle else []


def _actor_of(device: Device, state: DeviceState) -> DeviceActor:
    """A behaviour that could be loaded at registration may be gone from a later image: its readings still count."""
    try:
        return load_behaviour(device.behaviour)(device, state)
    except Exception as error:  # noqa: BLE001 - a behaviour is the user's code: it harms its own actor only
        log.error("behaviour cannot be used", device=device.id, behaviour=device.behaviour, error=repr(error))
        return DeviceActor(device, state)
