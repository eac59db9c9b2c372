"""The commands of one device: kept until their end, sent while it is connected, sent again, expired."""

from __future__ import annotations

from typing import Any

import msgspec

from iot_system.actors.changes import Changes
from iot_system.actors.device import RESEND_AFTER_US, DeviceActor
from iot_system.domain.commands import OPEN_LIMIT, Command, CommandStatus, command_data
from iot_system.errors import Overloaded


def check_open(actor: DeviceActor, more: int = 1) -> None:
    """Raises `Overloaded` where ``more`` new commands would be too many."""
    if len(actor.commands) + more > OPEN_LIMIT:
        raise Overloaded(
            f"device {actor.device.id!r} has {len(actor.commands)} commands that are not at their end; "
            f"the limit is {OPEN_LIMIT}",
            after_s=10.0,
        )


def queue(actor: DeviceActor, command: Command, changes: Changes) -> Command:
    """Begin the life of a command: behind all others of its device, by its time of creation too."""
    created_us = max([actor.now_us, *(one.created_us + 1 for one in actor.commands.values())])
    command = msgspec.structs.replace(
        command, status="queued", created_us=created_us, updated_us=actor.now_us, result=None, reason=None, sends=0
    )
    _keep(actor, command, changes)
    return command


def send_queued(actor: DeviceActor, command: Command, changes: Changes) -> Command | None:
    """Send a new command if it can be, and tell how far it came; what was answered meanwhile was told then.

    Returns the command where it is over already by time.
    """
    if (now := actor.commands.get(command.id)) is None:
        return None
    if now.expires_us <= actor.now_us:
        return end(actor, now.id, "expired", changes, reason="it had expired when it came")
    if actor.gets_commands:
        send(actor, [now], changes)
    else:
        changes.events.append(actor.event("command", command_data(now)))
    return None


def send(actor: DeviceActor, commands: list[Command], changes: Changes) -> None:
    """Send commands over the device's connection, in their order; what was delivered before stays delivered."""
    sent = []
    for command in commands:
        now = msgspec.structs.replace(command, sends=command.sends + 1)
        moved = now.moved("sent", now_us=actor.now_us)
        _keep(actor, moved, changes)
        if moved.status != command.status:
            changes.events.append(actor.event("command", command_data(moved)))
        sent.append(moved)
    changes.deliver(actor, commands=sent)


def send_again(actor: DeviceActor, changes: Changes) -> None:
    """Send what was sent some time ago and was not delivered."""
    latest_us = actor.now_us - RESEND_AFTER_US
    if actor.gets_commands:
        waiting = [one for one in actor.commands.values() if one.status == "sent" and one.updated_us <= latest_us]
        if waiting:
            send(actor, waiting, changes)


def delivered(actor: DeviceActor, id_: str, changes: Changes) -> Command | None:
    """A command has reached its device; None where it was at its end, or delivered, already."""
    command = actor.commands.get(id_)
    if command is None or command.status == "delivered":
        return None
    command = command.moved("delivered", now_us=actor.now_us)
    _keep(actor, command, changes)
    changes.events.append(actor.event("command", command_data(command)))
    return command


def end(
    actor: DeviceActor,
    id_: str,
    status: CommandStatus,
    changes: Changes,
    *,
    result: Any = None,
    reason: str | None = None,
) -> Command | None:
    """Bring a command to its end; None where it was there already, or nobody gave it."""
    command = actor.commands.get(id_)
    if command is None:
        return None
    command = command.moved(status, now_us=actor.now_us, result=result, reason=reason)
    _keep(actor, command, changes)
    changes.events.append(actor.event("command", command_data(command)))
    return command


def expire(actor: DeviceActor, changes: Changes) -> list[Command]:
    """End those whose time is over; returns them."""
    over = [command for command in actor.commands.values() if command.expires_us <= actor.now_us]
    ended = [
        end(actor, one.id, "expired", changes, reason=f"it was {one.status} and not answered in time") for one in over
    ]
    return [command for command in ended if command is not None]


def _keep(actor: DeviceActor, command: Command, changes: Changes) -> None:
    kept = dict(actor.commands) | {command.id: command}  # at its old place, or behind all others
    actor.restore([one for one in kept.values() if one.is_open])
    changes.commands[command.device, command.id] = command
    changes.rescheduled.add(actor.address)
