"""Messages between actors, as they arrive."""

from __future__ import annotations

from collections.abc import Mapping

from iot_system.actors import commands, twins
from iot_system.actors.changes import Changes
from iot_system.actors.device import DeviceActor
from iot_system.actors.reactions import react
from iot_system.actors.room import RoomActor
from iot_system.domain.commands import Command, command_data
from iot_system.domain.events import Event
from iot_system.domain.frames import ActorMessage, DesiredChange, Membership, NewCommand, RoomReadings, Told
from iot_system.domain.history import Reading
from iot_system.domain.twin import MEMBERS_LIMIT
from iot_system.errors import InvalidInput, Overloaded


def receive(
    devices: Mapping[str, DeviceActor],
    rooms: Mapping[str, RoomActor],
    message: ActorMessage,
    changes: Changes,
    *,
    now_us: int,
) -> None:
    """Hand one message to its actor. A device that is no longer there gets nothing."""
    match message:
        case RoomReadings(room):
            _readings(_now(rooms[room], now_us), message, changes)
        case Membership(room, device, joined):
            _membership(_now(rooms[room], now_us), device, joined, changes)
        case Told(to, sender, name, payload):
            actor = devices.get(to.id) if to.kind == "device" else rooms.get(to.id)
            if actor is not None:
                actor.now_us = now_us
                react(actor, actor.on_message, sender, name, payload, changes=changes)
        case DesiredChange(id_, patch, by):
            if device_actor := devices.get(id_):
                device_actor.now_us = now_us
                _desired(device_actor, patch, by, changes)
        case NewCommand(command):
            if device_actor := devices.get(command.device):
                device_actor.now_us = now_us
                _command(device_actor, command, changes)
            else:
                changes.events.append(_failed(command, "the device is not registered", now_us))


def give(actor: DeviceActor, command: Command, changes: Changes) -> None:
    """Begin the life of a command of somebody else: the behaviour sees it first, then the device.

    It may be over at once, having expired on its way: the behaviour hears of that end as of any other.
    """
    queued = commands.queue(actor, command, changes)
    react(actor, actor.on_command, queued, changes=changes)
    if (over := commands.send_queued(actor, queued, changes)) is not None:
        react(actor, actor.on_command_result, over, changes=changes)


def _now(room: RoomActor, now_us: int) -> RoomActor:
    room.now_us = now_us
    return room


def _readings(room: RoomActor, message: RoomReadings, changes: Changes) -> None:
    reacts = type(room).on_reading is not RoomActor.on_reading
    changes.rooms[message.room] = room.state
    if not reacts and room.receive_usual(message.readings):
        return
    why = None
    for device, time_us, values in message.readings:
        why = room.receive(device, time_us, values) or why
        if reacts:
            for metric, value in values.items():
                react(room, room.on_reading, device, Reading(device, metric, time_us, value), changes=changes)
    if why is not None:
        changes.fail(room, f"readings do not count: {why}")


def _membership(room: RoomActor, device: str, joined: bool, changes: Changes) -> None:
    changes.touch(room)
    if not joined:
        room.leave(device)
    elif not room.join(device):
        changes.fail(room, f"device {device!r} cannot join: the room has {MEMBERS_LIMIT} devices, the limit")
        return
    elif room.state.desired:
        changes.tell(DesiredChange(device, room.state.desired, room.address.path))
    react(room, room.on_member, device, joined, changes=changes)


def _desired(actor: DeviceActor, patch: dict[str, object], by: str, changes: Changes) -> None:
    try:
        twins.checked_patch(patch, actor.state.desired, field="desired")
    except InvalidInput as error:
        changes.fail(actor, f"a change of the desired state by {by} was dropped: {error}")
        return
    if twins.desire(actor, patch, by, changes):
        react(actor, actor.on_desired, patch, changes=changes)


def _command(actor: DeviceActor, command: Command, changes: Changes) -> None:
    if command.id in actor.commands:
        return
    try:
        commands.check_open(actor)
    except Overloaded as error:
        changes.fail(actor, f"command {command.name!r} of {command.created_by} was dropped: {error}")
        changes.events.append(_failed(command, str(error), actor.now_us))
        return
    give(actor, command, changes)


def _failed(command: Command, why: str, now_us: int) -> Event:
    """A command that never began to live."""
    data = command_data(command.moved("failed", now_us=now_us, reason=why))
    return Event(kind="command", time_us=now_us, device=command.device, room=command.room, data=data)
