"""What devices and gateways say beside telemetry: reported state, answers, deliveries, connections."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from iot_system.actors import commands, twins
from iot_system.actors.changes import Changes
from iot_system.actors.device import DeviceActor
from iot_system.actors.reactions import react
from iot_system.actors.timing import expire
from iot_system.domain.commands import check_payload
from iot_system.domain.deliveries import Delivery
from iot_system.domain.recognising import is_recent
from iot_system.domain.signals import (
    CommandAnswer,
    CommandDelivered,
    Connected,
    DesiredDelivered,
    Disconnected,
    Reported,
    Signal,
)
from iot_system.domain.twin import CONNECTIONS_LIMIT, Connection
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
            _disconnected(actor, lambda one: one.connection == connection, reason, time_us, changes)


def lose_gateway(actor: DeviceActor, gateway: str, changes: Changes) -> list[Delivery]:
    """End the connections to a gateway that has vanished; returns what asks it whether they are still there."""
    ended = _disconnected(actor, lambda one: one.gateway == gateway, "the gateway vanished", actor.now_us, changes)
    return [Delivery(actor.device.id, one.connection, None, []) for one in ended]


def _disconnected(
    actor: DeviceActor, is_over: Callable[[Connection], bool], reason: str, time_us: int, changes: Changes
) -> list[Connection]:
    """Some connections are over: where the one that counted is, the next newest counts, or the device has left."""
    state, before = actor.state, actor.state.connection
    if before is None:
        return []
    ended = [one for one in (*state.beside, before) if is_over(one)]
    if not ended:
        return []
    beside = [one for one in state.beside if not is_over(one)]
    changes.touch(actor)
    changes.connections[actor.device.id] = before
    if not is_over(before):
        state.beside = tuple(beside)
    elif beside:
        state.beside = tuple(beside[:-1])
        _use(actor, beside[-1], None, changes)
    else:
        state.beside = ()
        _leave(actor, reason, time_us, changes)
    return ended


def _leave(actor: DeviceActor, reason: str, time_us: int, changes: Changes) -> None:
    state = actor.state
    state.connection, state.left_us, state.left_reason = None, time_us, reason
    changes.connections[actor.device.id] = None
    changes.rescheduled.add(actor.address)
    changes.events.append(actor.event("connection", {"connected": False, "reason": reason}))
    react(actor, actor.on_disconnected, reason, changes=changes)


def _reported(actor: DeviceActor, signal: Reported, changes: Changes) -> None:
    if signal.id is not None:
        if is_recent(actor.state.recent_ids, signal.id):
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
    """The newest connection counts; it gets all, also if it says the same again, or what it did not listen to before.

    Others stay beside it. So whatever the clocks of two gateways say, and whoever is heard first: once one connection
    is left, that is the one that counts.
    """
    state, before = actor.state, actor.state.connection
    now = Connection(signal.gateway, signal.connection, signal.time_us, signal.wants_desired, signal.wants_commands)
    if before is not None and before.connection == now.connection:
        now = msgspec.structs.replace(now, since_us=before.since_us)
        _use(actor, now, before if now != before else None, changes)
        return
    others = [one for one in state.beside if one.connection != now.connection]
    if before is not None and now.since_us < before.since_us:
        _stand_beside(actor, [*others, now])
        changes.connections[actor.device.id] = before
        changes.touch(actor)
        return
    _stand_beside(actor, others if before is None else [*others, before])
    _use(actor, now, None, changes)


def _stand_beside(actor: DeviceActor, connections: list[Connection]) -> None:
    actor.state.beside = tuple(sorted(connections, key=lambda one: one.since_us)[1 - CONNECTIONS_LIMIT :])


def _use(actor: DeviceActor, now: Connection, had: Connection | None, changes: Changes) -> None:
    """Let a connection count, and send what it listens to; without what it ``had`` listened to before."""
    state, before = actor.state, actor.state.connection
    if now != before:
        state.connection = changes.connections[actor.device.id] = now
        changes.touch(actor)
    changes.rescheduled.add(actor.address)
    expire(actor, changes)
    if now.wants_desired and not (had and had.wants_desired):
        twins.send_whole(actor, changes)
    if now.wants_commands and not (had and had.wants_commands) and actor.commands:
        commands.send(actor, list(actor.commands.values()), changes)
    if before is None or before.connection != now.connection:
        changes.events.append(actor.event("connection", {"connected": True, "reason": None}))
        react(actor, actor.on_connected, changes=changes)
