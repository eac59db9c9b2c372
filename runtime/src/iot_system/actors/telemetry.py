"""Readings of devices: each new one is kept once, told to the device's room, and shown to the behaviour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from iot_system.actors.changes import Changes
from iot_system.actors.device import DeviceActor
from iot_system.actors.reactions import react
from iot_system.actors.stored import Stored
from iot_system.domain.events import NewReadings
from iot_system.domain.history import Reading
from iot_system.domain.readings import Telemetry


def receive(
    devices: Mapping[str, DeviceActor],
    messages: Iterable[Telemetry],
    changes: Changes,
    *,
    stored: Stored,
    now_us: int,
) -> int:
    """See `iot_system.actors.partition.PartitionActors.receive_telemetry`."""
    orphans = 0
    refused: dict[str, str] = {}
    for message in messages:
        actor = devices.get(message.device)
        if actor is None:
            orphans += 1
            continue
        actor.now_us = now_us
        if actor.is_resent(message):
            continue
        fresh = actor.receive(message, stored, refused)
        changes.devices[message.device] = actor.state
        if refused:
            more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            changes.fail(actor, f"a reading was refused: {next(iter(refused.values()))}{more}")
            refused.clear()
        if fresh is None:
            continue
        changes.readings.append(fresh)
        values = fresh.values
        if (room := actor.device.room) is not None:
            changes.for_room(room).append((message.device, message.time_us, values))
        if changes.listening:
            changes.heard.append(NewReadings(message.device, room, message.time_us, values))
        if type(actor).on_reading is not DeviceActor.on_reading:
            for metric, value in values.items():
                react(actor, actor.on_reading, Reading(message.device, metric, message.time_us, value), changes=changes)
    return orphans
