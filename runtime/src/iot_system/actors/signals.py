"""What devices and gateways say beside telemetry: reported state, answers, deliveries, connections."""

from __future__ import annotations

from iot_system.actors import commands, twins
from iot_system.actors.changes import Changes
from iot_system.actors.device import DeviceActor
from iot_system.actors.reactions import react
from iot_system.actors.timing import expire
from iot_system.domain.commands import check_payload
from iot_system.domain.signals import (
    CommandAnswer,
    CommandDelivered,
    Connected,
    DesiredDelivered,
    Disconnected,
    Reported,
    Signal,
)
from iot_system.domain.twin import Connection
from iot_system.errors import InvalidInput


def receive(actor: DeviceActor, signal: Signal, changes: Changes) -> None:
    """Take one signal in. What breaks a rule is dropped and told as an error: its sender has gone already."""
    state = actor.state
    if signal.time_us > state.last_seen_us:
        state.last_seen_us = signal.time_us
        changes.touch(actor)
    match signal:
        case Reported():
            _reported(actor, signal, changes)
        case CommandAnswer():
            _answered(actor, signal, changes)
        case CommandDelivered(_, command):
            commands.delivered(actor, command, changes)
        case DesiredDelivered(_, version):
            if state.desired_delivered < version <= state.desired_version:
                state.desired_delivered = version
                changes.touch(actor)
                changes.rescheduled.add(actor.address)
        case Connected():
            _connected(actor, signal, changes)
        case Disconnected(_, connection, reason, time_us):
            if state.connection is not None and state.connection.connection == connection:
                disconnect(actor, reason, time_us, changes)


def disconnect(actor: DeviceActor, reason: str, time_us: int, changes: Changes) -> None:
    """The device's connection is over."""
    state = actor.state
    state.connection, state.left_us, state.left_reason = None, time_us, reason
    changes.connections[actor.device.id] = None
    changes.rescheduled.add(actor.address)
    changes.touch(actor)
    changes.events.append(actor.event("connection", {"connected": False, "reason": reason}))
    react(actor, actor.on_disconnected, reason, changes=changes)


def _reported(actor: DeviceActor, signal: Reported, changes: Changes) -> None:
    if signal.id is not None:
        if signal.id in actor.state.recent_ids:
            return
        actor.remember_id(signal.id)
        changes.touch(actor)
    try:
        patch = twins.checked_patch(signal.patch, actor.state.reported, field="reported")
    except InvalidInput as error:
        changes.fail(actor, f"a change of the reported state was dropped: {error}")
        return
    if twins.report(actor, patch, changes):
        react(actor, actor.on_reported, patch, changes=changes)


def _answered(actor: DeviceActor, signal: CommandAnswer, changes: Changes) -> None:
    result, reason = signal.payload, None
    try:
        check_payload(result, field="result")
    except InvalidInput as error:
        result, reason = None, f"the answer was dropped: {error}"
    ended = commands.end(actor, signal.command, signal.status, changes, result=result, reason=reason)
    if ended is not None:
        react(actor, actor.on_command_result, ended, changes=changes)


def _connected(actor: DeviceActor, signal: Connected, changes: Changes) -> None:
    """The newest connection counts. It gets what it did not listen to before; all, if it says the same again."""
    state, before = actor.state, actor.state.connection
    if before is not None and before.connection != signal.connection and signal.time_us < before.since_us:
        return
    same = before is not None and before.connection == signal.connection
    now = Connection(
        signal.gateway,
        signal.connection,
        before.since_us if before is not None and same else signal.time_us,
        signal.wants_desired,
        signal.wants_commands,
    )
    had = before if same and now != before else None
    if now != before:
        state.connection = changes.connections[actor.device.id] = now
        changes.touch(actor)
    changes.rescheduled.add(actor.address)
    expire(actor, changes)
    if now.wants_desired and not (had and had.wants_desired):
        twins.send_whole(actor, changes)
    if now.wants_commands and not (had and had.wants_commands) and actor.commands:
        commands.send(actor, list(actor.commands.values()), changes)
    if not same:
        changes.events.append(actor.event("connection", {"connected": True, "reason": None}))
        react(actor, actor.on_connected, changes=changes)
