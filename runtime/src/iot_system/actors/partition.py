"""All actors of one partition that are in memory, and what messages and time change in them. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from iot_system.actors import inbox, signals, telemetry
from iot_system.actors.changes import Changes
from iot_system.actors.direct import DirectChanges
from iot_system.actors.schedule import Schedule
from iot_system.actors.sealing import Numbering
from iot_system.actors.stored import Stored
from iot_system.actors.timing import fire
from iot_system.domain.addresses import Address
from iot_system.domain.deliveries import Delivery
from iot_system.domain.frames import ActorFrame, ActorMessage
from iot_system.domain.readings import Telemetry
from iot_system.domain.signals import Signal

DUE_LIMIT = 500
"""Actors that one turn fires at most."""


class PartitionActors(DirectChanges):
    """The device and room actors of one partition.

    What it was claimed with: ``received`` and ``sent`` number the messages between actors per source and per target
    partition, ``timers`` says when actors are due, ``connections`` which devices are connected to a gateway.
    Every method that takes `Changes` adds to them; a turn ends with `seal`.
    """

    def __init__(
        self,
        partition: int,
        *,
        received: dict[int, int],
        sent: dict[int, int],
        partition_of: Callable[[str], int],
        timers: Mapping[Address, int] | None = None,
        connections: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        super().__init__()
        self.partition = partition
        self._received = received
        self._numbering = Numbering(partition, sent, partition_of)
        self._schedule = Schedule(timers or {})
        self._connected = {gateway: set(devices) for gateway, devices in (connections or {}).items()}

    def forget_room(self, id_: str) -> None:
        """A room was deleted."""
        self.rooms.pop(id_, None)
        self._schedule.set(Address("room", id_), None)

    def receive_telemetry(
        self,
        messages: Iterable[Telemetry],
        changes: Changes,
        *,
        stored: Stored,
        now_us: int,
    ) -> int:
        """Hand the messages of a device frame to their actors; returns how many had none (no longer registered).

        ``stored``: the readings among them that the history has, this batch's earlier frames included (see
        `DeviceActor.receive`).
        """
        return telemetry.receive(self.devices, messages, changes, stored=stored, now_us=now_us)

    def receive_signals(self, arrived: Iterable[Signal], changes: Changes, *, now_us: int) -> int:
        """Hand signals to their actors, in their order; returns how many had none (no longer registered)."""
        orphans = 0
        for signal in arrived:
            if (actor := self.devices.get(signal.device)) is None:
                orphans += 1
                continue
            actor.now_us = now_us
            signals.receive(actor, signal, changes)
        return orphans

    def receive_from_actors(self, frame: ActorFrame, changes: Changes, *, now_us: int) -> int:
        """Hand messages of other actors to theirs, once; returns how many frames before it never came.

        A source publishes a number only once the broker has all before it, so these are lost with the stream itself:
        waiting for them would lose all that follow, too. Rooms must be in memory; a device that is not, is no longer
        registered.
        """
        last = self._received.get(frame.source, 0)
        if frame.number <= last:
            return 0
        self._received[frame.source] = changes.received[frame.source] = frame.number
        for message in frame.messages:
            inbox.receive(self.devices, self.rooms, message, changes, now_us=now_us)
        return frame.number - last - 1

    def by_target(self, messages: Sequence[ActorMessage]) -> dict[int, list[ActorMessage]]:
        """``messages`` by the partition that they are for, in their order."""
        return self._numbering.by_target(messages)

    def has_all_of(self, source: PartitionActors) -> bool:
        """Whether nothing from ``source`` to this partition is on its way."""
        return self._received.get(source.partition, 0) == source._numbering.last(self.partition)

    def hand_over(
        self,
        messages: list[ActorMessage],
        changes: Changes,
        target: PartitionActors,
        of_target: Changes,
        *,
        now_us: int,
    ) -> None:
        """Give ``messages`` to ``target``, which `has_all_of` this, within one commit of both."""
        changes.sent[target.partition] = number = self._numbering.next(target.partition)
        target.receive_from_actors(ActorFrame(self.partition, number, messages), of_target, now_us=now_us)

    def due(self, now_us: int) -> list[Address]:
        """Actors that are due, the longest waiting first, `DUE_LIMIT` at most: activate them, then `fire` each."""
        return self._schedule.due(now_us, DUE_LIMIT)

    def next_due_us(self) -> int | None:
        """When the next actor is due; None: nobody ever."""
        return self._schedule.next_us()

    def fire(self, address: Address, changes: Changes, *, now_us: int) -> None:
        """Do what is due of one actor: timers, the end of commands' lives, their repetition.

        An actor that is not in memory is no longer registered: it is never due again.
        """
        actor = self.devices.get(address.id) if address.kind == "device" else self.rooms.get(address.id)
        if actor is not None:
            actor.now_us = now_us
            fire(actor, changes)
        changes.rescheduled.add(address)

    def gateways(self) -> list[str]:
        """API processes that devices of this partition are connected to."""
        return list(self._connected)

    def connected_to(self, gateway: str) -> list[str]:
        """Devices that have a connection to ``gateway``, one that counts or one beside it."""
        return list(self._connected.get(gateway, ()))

    def lose_gateway(self, gateway: str, devices: Iterable[str], changes: Changes, *, now_us: int) -> list[Delivery]:
        """End the connections of ``devices`` (some of `connected_to`, activated) to a gateway that has vanished.

        Returns what asks the gateway whether they are still there.
        """
        ended: list[Delivery] = []
        connected = self._connected.get(gateway, set())
        for id_ in devices:
            connected.discard(id_)
            if (actor := self.devices.get(id_)) is not None:
                actor.now_us = now_us
                ended += signals.lose_gateway(actor, gateway, changes)
        if not connected:
            self._connected.pop(gateway, None)
        return ended

    def seal(self, changes: Changes) -> None:
        """Complete ``changes`` for the commit: ``outbox``, ``sent`` and ``timers``."""
        changes.outbox += self._numbering.frames(changes.messages, changes.events)
        changes.sent |= {target: number for target, number, _ in changes.outbox}
        for address in changes.rescheduled:
            actor = self.devices.get(address.id) if address.kind == "device" else self.rooms.get(address.id)
            due_us = actor.due_us() if actor is not None else None
            if due_us != self._schedule.get(address):
                changes.timers[address] = due_us
                self._schedule.set(address, due_us)
        for device, connection in changes.connections.items():
            beside = self.devices[device].state.beside if connection is not None else ()
            current = {one.gateway for one in (*beside, connection) if one is not None}
            for gateway, devices in list(self._connected.items()):
                if gateway not in current:
                    devices.discard(device)
                    if not devices:
                        del self._connected[gateway]
            for gateway in current:
                self._connected.setdefault(gateway, set()).add(device)
