"""What a turn changes: the makings of one commit, and of what leaves after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from iot_system.actors.actor import Actor
from iot_system.actors.device import DeviceActor
from iot_system.actors.room import RoomActor
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command
from iot_system.domain.deliveries import Delivery, Desired
from iot_system.domain.events import Event, NewReadings
from iot_system.domain.frames import ActorMessage, RoomReadings
from iot_system.domain.questions import Failure
from iot_system.domain.readings import Telemetry, Value
from iot_system.domain.twin import Connection, DeviceState, RoomState

FAILURES_LIMIT = 20
"""Failures of one actor that a commit keeps; more are only counted."""
COMMANDS_PER_DELIVERY = 10
"""So that a delivery stays far below what the broker takes, however large the payloads are."""


class Changes:
    """Filled by the methods of `iot_system.actors.partition.PartitionActors`, completed by its ``seal``.

    To be committed: ``readings``, ``devices``, ``rooms``, ``received``, ``outbox`` (target, number, data), ``commands``
    by (device, id), ``timers`` (an actor's earliest due time, None: none), ``connections`` (None: over), ``failures``.
    To leave after the commit: ``deliveries`` by gateway, and ``heard`` where somebody is ``listening``.
    ``outbox`` and ``timers`` are empty until ``seal``, which also puts ``events`` into the outbox.
    """

    __slots__ = (
        "_failed",
        "_room_readings",
        "commands",
        "connections",
        "deliveries",
        "devices",
        "events",
        "failures",
        "heard",
        "listening",
        "messages",
        "outbox",
        "readings",
        "received",
        "rescheduled",
        "rooms",
        "sent",
        "timers",
    )

    def __init__(self, *, listening: bool = False) -> None:
        self.listening = listening
        self.readings: list[Telemetry] = []
        self.devices: dict[str, DeviceState] = {}
        self.rooms: dict[str, RoomState] = {}
        self.received: dict[int, int] = {}
        self.sent: dict[int, int] = {}
        self.outbox: list[tuple[int, int, bytes]] = []
        self.commands: dict[tuple[str, str], Command] = {}
        self.timers: dict[Address, int | None] = {}
        self.connections: dict[str, Connection | None] = {}
        self.events: list[Event] = []
        self.deliveries: dict[str, list[Delivery]] = {}
        self.failures: list[Failure] = []
        self.heard: list[NewReadings] = []
        self.messages: list[ActorMessage] = []
        """To other actors, in their order."""
        self.rescheduled: set[Address] = set()
        """Actors whose earliest due time may have changed."""
        self._room_readings: dict[str, list[tuple[str, int, dict[str, Value]]]] = {}
        self._failed: Counter[Address] = Counter()

    def touch(self, actor: Actor) -> None:
        """The state of ``actor`` has changed."""
        if isinstance(actor, DeviceActor):
            self.devices[actor.device.id] = actor.state
        elif isinstance(actor, RoomActor):
            self.rooms[actor.room.id] = actor.state

    def tell(self, message: ActorMessage) -> None:
        """Send a message to another actor, behind those before."""
        self._room_readings.clear()  # readings that come now are behind this one
        self.messages.append(message)

    def for_room(self, room: str) -> list[tuple[str, int, dict[str, Value]]]:
        """Where readings ``(device, time_us, values)`` for a room go, behind those that are under way already."""
        if (readings := self._room_readings.get(room)) is None:
            readings = self._room_readings[room] = []
            self.messages.append(RoomReadings(room, readings))
        return readings

    def deliver(self, actor: DeviceActor, desired: Desired | None = None, commands: Sequence[Command] = ()) -> None:
        """Send to the device over its connection; nothing where there is none."""
        connection = actor.state.connection
        if connection is None:
            return
        deliveries = self.deliveries.setdefault(connection.gateway, [])
        id_, behind = actor.device.id, _sent_before(actor, commands[0]) if commands else None
        for first in range(0, len(commands) or 1, COMMANDS_PER_DELIVERY):
            part = list(commands[first : first + COMMANDS_PER_DELIVERY])
            deliveries.append(Delivery(id_, connection.connection, desired if first == 0 else None, part, behind))
            behind = part[-1].id if part else None

    def fail(self, actor: Actor, why: str, *, failure: Failure | None = None) -> None:
        """Count an error of ``actor`` and tell it, with the message where a behaviour raised."""
        actor.state.errors += 1
        self.touch(actor)
        address = actor.address
        self._failed[address] += 1
        if self._failed[address] > FAILURES_LIMIT:
            return
        self.events.append(actor.event("error", {"error": why, "handler": failure.handler if failure else None}))
        if failure is not None:
            self.failures.append(failure)


def _sent_before(actor: DeviceActor, command: Command) -> str | None:
    """The last command before ``command`` that is sent and not known to be delivered."""
    before = None
    for one in actor.commands.values():
        if one.id == command.id:
            break
        if one.status == "sent":
            before = one.id
    return before
