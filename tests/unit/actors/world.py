"""Some partitions whose messages reach each other at once, as shards, store and broker would bring them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
from iot_system.actors.changes import Changes
from iot_system.actors.partition import PartitionActors
from iot_system.actors.routing import addressed
from iot_system.actors.stored import Stored
from iot_system.domain.commands import Command
from iot_system.domain.deliveries import Delivery
from iot_system.domain.events import EVENTS, Event, EventKind, decode_events
from iot_system.domain.frames import ActorFrame, ActorMessage, decode_frame
from iot_system.domain.ids import partition_of
from iot_system.domain.questions import Failure
from iot_system.domain.readings import Telemetry, Value
from iot_system.domain.registry import Device, Room
from iot_system.domain.signals import Connected, Disconnected, Signal
from iot_system.domain.twin import DeviceState, RoomState

S = 1_000_000
"""Microseconds."""
GATEWAY = "api-1"


class World:
    """``now_us`` is the time of everything that happens next; what left the actors is kept in lists."""

    def __init__(self, *devices: Device, rooms: Sequence[Room] = (), partitions: int = 3, now_us: int = 0) -> None:
        self.now_us = now_us
        self._of = partitions
        self._partitions = [
            PartitionActors(number, received={}, sent={}, partition_of=lambda id_: partition_of(id_, partitions))
            for number in range(partitions)
        ]
        self._under_way: deque[tuple[int, bytes]] = deque()
        self._arriving = False
        self.events: list[Event] = []
        self.deliveries: list[Delivery] = []
        self.failures: list[Failure] = []
        self.commands: dict[tuple[str, str], Command] = {}
        for room in rooms:
            self.owner(room.id).activate_room(room, RoomState())
        for device in devices:
            self.owner(device.id).activate_device(device, DeviceState())
            self.change(device.id, "change_registration", None, device)

    def owner(self, id_: str) -> PartitionActors:
        return self._partitions[partition_of(id_, self._of)]

    def device(self, id_: str) -> DeviceState:
        return self.owner(id_).devices[id_].state

    def room(self, id_: str) -> RoomState:
        return self.owner(id_).rooms[id_].state

    def change(self, owner_of: str, method: str, *args: Any, **keywords: Any) -> Any:
        """Call one of the methods that take `Changes`, commit, and let every message arrive."""
        actors, changes = self.owner(owner_of), Changes()
        result = getattr(actors, method)(*args, changes, now_us=self.now_us, **keywords)
        self.commit(actors, changes)
        return result

    def send(self, device: str, values: dict[str, Value], *, time_us: int | None = None) -> Changes:
        """A message with readings, taken at ``time_us`` or now."""
        message = Telemetry(device, self.now_us if time_us is None else time_us, values)
        actors, changes = self.owner(device), Changes()
        actors.receive_telemetry([message], changes, stored=Stored(), now_us=self.now_us)
        self.commit(actors, changes)
        return changes

    def signal(self, *signals: Signal) -> int:
        """Signals of one device; returns how many found no actor."""
        orphans: int = self.change(signals[0].device, "receive_signals", signals)
        return orphans

    def connect(self, device: str, connection: str = "c1", *, desired: bool = True, commands: bool = True) -> None:
        self.signal(Connected(device, GATEWAY, connection, self.now_us, desired, commands))

    def disconnect(self, device: str, connection: str = "c1", reason: str = "gone") -> None:
        self.signal(Disconnected(device, connection, reason, self.now_us))

    def put(self, device: str, id_: str, name: str = "open", payload: Any = None, *, life_s: float = 60.0) -> Command:
        """Give a device a command as a user."""
        expires_us = self.now_us + round(life_s * S)
        command = Command(
            id=id_,
            device=device,
            name=name,
            payload=payload,
            created_us=self.now_us,
            updated_us=self.now_us,
            expires_us=expires_us,
        )
        found: Command = self.change(device, "put_command", command)
        return found

    def arrive(self, number: int, *messages: ActorMessage, source: int = 2) -> None:
        """The ``number``-th frame of another partition, to the only one here."""
        actors, changes = self._partitions[0], Changes()
        actors.receive_from_actors(ActorFrame(source, number, list(messages)), changes, now_us=self.now_us)
        self.commit(actors, changes)

    def wait_until(self, now_us: int) -> None:
        """Let time pass; what becomes due on the way is done at its time."""
        while (due_us := min(filter(None, (one.next_due_us() for one in self._partitions)), default=now_us)) < now_us:
            self._fire(max(due_us, self.now_us))
        self._fire(now_us)

    def wait(self, seconds: float) -> None:
        self.wait_until(self.now_us + round(seconds * S))

    def restart(self) -> None:
        """Everything leaves memory and comes back from what was committed."""
        for actors in self._partitions:
            devices, rooms = list(actors.devices.values()), list(actors.rooms.values())
            actors.passivate(idle_since_us=2**62)
            assert not actors.devices
            assert not actors.rooms
            for actor in devices:
                stored = msgspec.msgpack.decode(msgspec.msgpack.encode(actor.state), type=DeviceState)
                actors.activate_device(actor.device, stored, list(actor.commands.values()))
            for room in rooms:
                kept = msgspec.msgpack.decode(msgspec.msgpack.encode(room.state), type=RoomState)
                actors.activate_room(room.room, kept)

    def of_kind(self, kind: EventKind, of: str | None = None) -> list[dict[str, Any]]:
        """What events of a kind said, of one device or room alone if asked for."""
        return [one.data for one in self.events if one.kind == kind and of in (None, one.device, one.room)]

    def _fire(self, now_us: int) -> None:
        self.now_us = now_us
        for actors in self._partitions:
            for address in actors.due(now_us):
                changes = Changes()
                actors.fire(address, changes, now_us=now_us)
                self.commit(actors, changes)
                assert address not in actors.due(now_us), "it stays due"

    def commit(self, actors: PartitionActors, changes: Changes) -> None:
        """Keep what left the actors, and let every message arrive, and what it leads to."""
        actors.seal(changes)
        msgspec.msgpack.encode([changes.devices, changes.rooms, list(changes.commands.values())])
        self.commands |= changes.commands
        self.failures += changes.failures
        for deliveries in changes.deliveries.values():
            self.deliveries += deliveries
        for target, _, data in changes.outbox:
            if target == EVENTS:
                self.events += decode_events(data)
            else:
                self._under_way.append((target, data))
        if not self._arriving:
            self._arriving = True
            while self._under_way:
                self._arrive(*self._under_way.popleft())
            self._arriving = False

    def _arrive(self, target: int, data: bytes) -> None:
        frame = decode_frame(data)
        assert isinstance(frame, ActorFrame)
        actors, changes = self._partitions[target], Changes()
        for room in addressed(frame)[1] - actors.rooms.keys():
            actors.activate_room(Room(id=room), RoomState())
        assert actors.receive_from_actors(frame, changes, now_us=self.now_us) == 0, "frames are missing"
        self.commit(actors, changes)
