"""Readings of devices: each new one is kept once, told to the device's room, and shown to the behaviour.

What one device says in a frame is taken in together, in its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
    by_device: dict[str, list[Telemetry]] = {}
    for message in messages:
        by_device.setdefault(message.device, []).append(message)
    for id_, said in by_device.items():
        actor = devices.get(id_)
        if actor is None:
            orphans += len(said)
            continue
        actor.now_us = now_us
        if type(actor).on_reading is DeviceActor.on_reading and actor.receive_newer(said):
            changes.devices[id_] = actor.state
            stored.join(said)
            _tell(actor, said, changes)
        else:
            for message in said:
                _receive(actor, message, changes, stored)
    return orphans


def _receive(actor: DeviceActor, message: Telemetry, changes: Changes, stored: Stored) -> None:
    """One message by itself."""
    if actor.is_resent(message):
        return
    refused: dict[str, str] = {}
    fresh = actor.receive(message, stored, refused)
    changes.devices[message.device] = actor.state
    if refused:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        changes.fail(actor, f"a reading was refused: {next(iter(refused.values()))}{more}")
    if fresh is None:
        return
    _tell(actor, [fresh], changes)
    if type(actor).on_reading is not DeviceActor.on_reading:
        for metric, value in fresh.values.items():
            react(actor, actor.on_reading, Reading(message.device, metric, message.time_us, value), changes=changes)


def _tell(actor: DeviceActor, fresh: Sequence[Telemetry], changes: Changes) -> None:
    """Keep what is new of one device; its room, and who listens, get it too."""
    changes.readings += fresh
    room = actor.device.room
    if room is not None:
        changes.for_room(room).extend([(one.device, one.time_us, one.values) for one in fresh])
    if changes.listening:
        changes.heard += [NewReadings(one.device, room, one.time_us, one.values) for one in fresh]
