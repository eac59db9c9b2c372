"""What is due of an actor by time."""

from __future__ import annotations

from iot_system.actors import commands, twins
from iot_system.actors.changes import Changes
from iot_system.actors.device import DeviceActor
from iot_system.actors.reactions import react
from iot_system.actors.room import RoomActor


def fire(actor: DeviceActor | RoomActor, changes: Changes) -> None:
    """End commands whose life is over, send again what was not acknowledged, then let timers go off, earliest first.

    A timer that is set while others go off waits for the next time.
    """
    if isinstance(actor, DeviceActor):
        expire(actor, changes)
        twins.send_again(actor, changes)
        commands.send_again(actor, changes)
    timers = actor.state.timers
    over = sorted((due_us, name) for name, due_us in timers.items() if due_us <= actor.now_us)
    for due_us, name in over:
        if actor.state.timers.get(name) == due_us:  # else the behaviour has cancelled or replaced it just now
            actor.state.timers = {other: time_us for other, time_us in actor.state.timers.items() if other != name}
            changes.touch(actor)
            react(actor, actor.on_timer, name, changes=changes)


def expire(actor: DeviceActor, changes: Changes) -> None:
    """End the commands whose life is over."""
    for command in commands.expire(actor, changes):
        react(actor, actor.on_command_result, command, changes=changes)
