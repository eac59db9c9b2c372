"""Reported and desired state: merged, numbered, told. What is too large is the caller's to refuse, before."""

from __future__ import annotations

from typing import Any

from iot_system.actors.actor import Actor
from iot_system.actors.changes import Changes
from iot_system.actors.device import RESEND_AFTER_US, DeviceActor
from iot_system.actors.room import RoomActor
from iot_system.domain.deliveries import Desired
from iot_system.domain.frames import DesiredChange
from iot_system.domain.merge import merge_patch, would_change
from iot_system.domain.payloads import check_size, plain
from iot_system.domain.twin import FAN_OUT_LIMIT, STATE_LIMIT


def checked_patch(patch: dict[str, Any], before: dict[str, Any], *, field: str) -> dict[str, Any]:
    """Return a copy of ``patch``. Raises `InvalidInput` for what is no JSON, `TooLarge` for what ``before`` becomes."""
    copy: dict[str, Any] = plain(patch, field=field, limit=STATE_LIMIT)
    check_size(merge_patch(before, copy), field=field, limit=STATE_LIMIT)
    return copy


def check_fan_out(actor: Actor, payload: object, *, field: str) -> None:
    """Raises `TooLarge` where ``payload`` for each of a room's devices is too much together."""
    if isinstance(actor, RoomActor):
        check_size(payload, field=field, limit=FAN_OUT_LIMIT, devices=len(actor.state.members))


def report(actor: DeviceActor, patch: dict[str, Any], changes: Changes) -> bool:
    """Merge into the reported state; False where nothing changes."""
    state = actor.state
    if not would_change(state.reported, patch):
        return False
    state.reported = merge_patch(state.reported, patch)
    state.reported_version += 1
    changes.touch(actor)
    changes.events.append(actor.event("twin", {"reported": patch, "version": state.reported_version}))
    return True


def desire(actor: Actor, patch: dict[str, Any], by: str, changes: Changes) -> bool:
    """Merge into the desired state, of a room also into that of its devices; False where nothing changes."""
    state = actor.state
    if not would_change(state.desired, patch):
        return False
    state.desired = merge_patch(state.desired, patch)
    state.desired_version += 1
    changes.touch(actor)
    data = {"desired": patch, "version": state.desired_version, "by": by}
    if isinstance(actor, DeviceActor):
        changes.events.append(actor.event("twin", data))
        if (connection := actor.state.connection) and connection.wants_desired:
            _send(actor, Desired(state.desired_version, patch, is_whole=False), changes)
    elif isinstance(actor, RoomActor):
        changes.events.append(actor.event("room", data))
        for device in actor.state.members:
            changes.tell(DesiredChange(device, patch, by))
    return True


def send_whole(actor: DeviceActor, changes: Changes) -> None:
    """Send the desired state to a device that may know nothing of it."""
    _send(actor, Desired(actor.state.desired_version, actor.state.desired, is_whole=True), changes)


def send_again(actor: DeviceActor, changes: Changes) -> None:
    """Send the desired state whole where what was sent some time ago was not acknowledged."""
    if actor.misses_desired and actor.state.desired_sent_us <= actor.now_us - RESEND_AFTER_US:
        send_whole(actor, changes)


def _send(actor: DeviceActor, desired: Desired, changes: Changes) -> None:
    actor.state.desired_sent_us = actor.now_us
    changes.touch(actor)
    changes.rescheduled.add(actor.address)
    changes.deliver(actor, desired)
