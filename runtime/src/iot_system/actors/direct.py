"""Changes by users: each raises before it has changed anything, or is done."""

from __future__ import annotations

from typing import Any

from iot_system.actors import commands, twins
from iot_system.actors.actor import Actor
from iot_system.actors.changes import Changes
from iot_system.actors.device import DeviceActor
from iot_system.actors.inbox import give
from iot_system.actors.population import Population
from iot_system.actors.reactions import react
from iot_system.actors.timing import expire
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command, check_command, command_data
from iot_system.domain.frames import Membership
from iot_system.domain.questions import DesiredView
from iot_system.domain.registry import Device
from iot_system.errors import Conflict, NotFound, PreconditionFailed


class DirectChanges(Population):
    """The part of `iot_system.actors.partition.PartitionActors` that questions use: actors must be in memory.

    All raise `NotFound` where they are not, because then they are not registered.
    """

    def patch_desired(
        self, id_: str, patch: dict[str, Any], changes: Changes, *, if_version: int | None, by: str, now_us: int
    ) -> DesiredView:
        """Merge into a device's desired state; what changes nothing makes no new version.

        Raises `PreconditionFailed` where ``if_version`` is given and not the version now, `InvalidInput`, `TooLarge`.
        """
        return _desire(self._device(id_, now_us), patch, changes, if_version=if_version, by=by)

    def patch_room_desired(
        self, id_: str, patch: dict[str, Any], changes: Changes, *, if_version: int | None, by: str, now_us: int
    ) -> DesiredView:
        """The same for a room; it goes on to the desired state of all its devices."""
        if (room := self.rooms.get(id_)) is None:
            raise NotFound(f"room {id_!r} is not known")
        room.now_us = now_us
        return _desire(room, patch, changes, if_version=if_version, by=by)

    def put_command(self, command: Command, changes: Changes, *, now_us: int, known: Command | None = None) -> Command:
        """Give a device a command, once; returns it as it is now. The time of its creation is the owner's.

        ``known`` is the command of this id and device that the store has: those at their end are not in memory. Raises
        `Conflict` where it has another name or payload, `Overloaded` where too many are open, `InvalidInput`.
        """
        actor = self._device(command.device, now_us)
        if (before := actor.commands.get(command.id) or known) is not None:
            if (before.name, before.payload) != (command.name, command.payload):
                raise Conflict(f"command {command.id!r} exists with another name or payload")
            return before
        check_command(command)
        commands.check_open(actor)
        give(actor, command, changes)
        return changes.commands[command.device, command.id]

    def cancel_command(self, device: str, id_: str, changes: Changes, *, by: str, now_us: int) -> Command | None:
        """Cancel a command; None where it is not open: what it is then, the store knows."""
        actor = self._device(device, now_us)
        cancelled = commands.end(actor, id_, "cancelled", changes, reason=f"cancelled by {by}" if by else "cancelled")
        if cancelled is not None:
            react(actor, actor.on_command_result, cancelled, changes=changes)
        return cancelled

    def take_commands(self, device: str, changes: Changes, *, now_us: int) -> list[Command]:
        """All open commands, in the order of their creation; they count as delivered from now on."""
        actor = self._device(device, now_us)
        expire(actor, changes)
        for id_ in list(actor.commands):
            commands.delivered(actor, id_, changes)
        return list(actor.commands.values())

    def change_registration(
        self, before: Device | None, after: Device | None, changes: Changes, *, now_us: int
    ) -> None:
        """A device was registered (``before`` is None), changed, or deleted (``after`` is None): rooms are told.

        The actor, if in memory, goes on under its new registration. That of a deleted device ends: its connection and
        commands are told as over; the store forgets them with the device.
        """
        device = before or after
        if device is None:
            return
        old = before.room if before is not None else None
        new = after.room if after is not None else None
        if old != new:
            if old is not None:
                changes.tell(Membership(old, device.id, joined=False))
            if new is not None:
                changes.tell(Membership(new, device.id, joined=True))
        if after is not None:
            if after.id in self.devices:
                self.activate_device(after, self.devices[after.id].state)
            return
        if (actor := self.devices.pop(device.id, None)) is not None:
            actor.now_us = now_us
            _farewell(actor, changes)
        changes.rescheduled.add(Address("device", device.id))
        changes.connections[device.id] = None

    def _device(self, id_: str, now_us: int) -> DeviceActor:
        if (actor := self.devices.get(id_)) is None:
            raise NotFound(f"device {id_!r} is not registered")
        actor.now_us = now_us
        return actor


def _farewell(actor: DeviceActor, changes: Changes) -> None:
    """Tell the end of what a deleted device leaves behind; of its state nothing is written any more."""
    id_, why = actor.device.id, "the device was deleted"
    if actor.state.connection is not None:
        changes.events.append(actor.event("connection", {"connected": False, "reason": why}))
    for command in actor.commands.values():
        ended = command.moved("cancelled", now_us=actor.now_us, reason=why)
        changes.events.append(actor.event("command", command_data(ended)))
    changes.devices.pop(id_, None)
    changes.commands = {key: command for key, command in changes.commands.items() if key[0] != id_}


def _desire(actor: Actor, patch: dict[str, Any], changes: Changes, *, if_version: int | None, by: str) -> DesiredView:
    state = actor.state
    if if_version is not None and if_version != state.desired_version:
        raise PreconditionFailed(f"the desired state has version {state.desired_version}, not {if_version}")
    patch = twins.checked_patch(patch, state.desired, field="desired")
    twins.check_fan_out(actor, patch, field="desired")
    if twins.desire(actor, patch, by, changes):
        react(actor, actor.on_desired, patch, changes=changes)
    return DesiredView(state.desired, state.desired_version)
