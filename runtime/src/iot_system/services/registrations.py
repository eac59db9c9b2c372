"""Changes of the registry within a share of a commit: each raises before it has changed anything, or is done."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import msgspec

from iot_system.actors.behaviours import load_behaviour, load_room_behaviour
from iot_system.domain.addresses import Address
from iot_system.domain.ids import check_id
from iot_system.domain.merge import merge_patch
from iot_system.domain.questions import Refusal, Registered
from iot_system.domain.registry import AuditEntry, Device, Room, check_labels
from iot_system.domain.twin import RoomState
from iot_system.errors import Conflict, InvalidInput, NotFound
from iot_system.services.asking import refusal_of
from iot_system.services.turn import Share

DEVICE_FIELDS = ("room", "behaviour", "labels", "enabled", "gateway")
ROOM_FIELDS = ("behaviour", "labels", "stale_after_s")
STALE_LIMIT_S = 366 * 24 * 3600.0
DETAIL_BYTES = 2048
"""An audit entry's detail that is larger is left out, so that a page of them stays small."""
T = TypeVar("T", Device, Room)


def put_devices(share: Share, devices: list[Device], *, by: str, now_us: int) -> Registered:
    """Register those that are new and break no rule; those that exist must be in memory."""
    new: dict[str, Device] = {}
    existing: list[str] = []
    refused: dict[str, Refusal] = {}
    for device in devices:
        try:
            check_device(device)
        except InvalidInput as error:
            refused[device.id] = refusal_of(error)
            continue
        if device.id in share.partition.actors.devices or device.id in new:
            existing.append(device.id)
        else:
            new[device.id] = device
    for device in new.values():
        share.partition.actors.change_registration(None, device, share.changes, now_us=now_us)
        share.registered_devices.append(device)
        note(share, by, "put_device", Address("device", device.id), now_us, {"room": device.room})
    return Registered(existing, refused)


def patch_device(share: Share, id_: str, patch: dict[str, Any], *, by: str, now_us: int) -> Device:
    """Merge ``patch`` into a registration. Raises `NotFound`, `InvalidInput`."""
    before = _registered(share, id_)
    changed = _patched(before, patch, DEVICE_FIELDS, now_us=now_us)
    check_device(changed)
    share.partition.actors.change_registration(before, changed, share.changes, now_us=now_us)
    share.registered_devices.append(changed)
    note(share, by, "patch_device", Address("device", id_), now_us, patch)
    return changed


def delete_device(share: Share, id_: str, *, by: str, now_us: int) -> None:
    """Forget a device. Raises `NotFound`."""
    share.partition.actors.change_registration(_registered(share, id_), None, share.changes, now_us=now_us)
    share.removed.append(Address("device", id_))
    note(share, by, "delete_device", Address("device", id_), now_us, {})


def put_room(share: Share, room: Room, *, by: str, now_us: int) -> Room:
    """Register a room, or overwrite its registration. Raises `InvalidInput`."""
    check_room(room)
    actor = share.partition.actors.rooms.get(room.id)
    created_us = (actor.room.created_us if actor else 0) or now_us
    room = msgspec.structs.replace(room, created_us=created_us, updated_us=now_us)
    return _save_room(share, room, "put_room", by=by, now_us=now_us, detail=msgspec.to_builtins(room))


def patch_room(share: Share, id_: str, patch: dict[str, Any], *, by: str, now_us: int) -> Room:
    """Merge ``patch`` into a registration; one only heard of gets one. Raises `NotFound`, `InvalidInput`."""
    if (actor := share.partition.actors.rooms.get(id_)) is None:
        raise NotFound(f"room {id_!r} is not known")
    room = _patched(actor.room, patch, ROOM_FIELDS, now_us=now_us)
    check_room(room)
    room = msgspec.structs.replace(room, created_us=room.created_us or now_us)
    return _save_room(share, room, "patch_room", by=by, now_us=now_us, detail=patch)


def delete_room(share: Share, id_: str, member: str | None, *, by: str, now_us: int) -> None:
    """Forget a room, where it has no ``member``. Raises `NotFound`, `Conflict`."""
    if id_ not in share.partition.actors.rooms:
        raise NotFound(f"room {id_!r} is not known")
    if member is not None:
        raise Conflict(f"devices are registered in room {id_!r}, {member!r} is one: move or delete them first")
    share.partition.actors.forget_room(id_)
    share.removed.append(Address("room", id_))
    note(share, by, "delete_room", Address("room", id_), now_us, {})


def note(share: Share, by: str, action: str, target: Address, now_us: int, detail: dict[str, Any]) -> None:
    """Remember who changed what; nobody who gave no name."""
    if by:
        share.audit.append(entry(by, action, target.path, now_us, detail))


def entry(by: str, action: str, target: str, now_us: int, detail: dict[str, Any]) -> AuditEntry:
    """An audit entry whose detail is not too large."""
    if (size := len(msgspec.json.encode(detail))) > DETAIL_BYTES:
        detail = {"bytes": size}
    return AuditEntry(time_us=now_us, by=by, action=action, target=target, detail=detail)


def check_device(device: Device) -> None:
    """Raises `InvalidInput` with the first rule that a registration breaks."""
    check_id(device.id, field="id")
    if device.room is not None:
        check_id(device.room, field="room")
    if device.gateway is not None:
        check_id(device.gateway, field="gateway")
        if device.gateway == device.id:
            raise InvalidInput(f"gateway is {device.gateway!r}, the device itself: leave it out")
    check_labels(device.labels)
    load_behaviour(device.behaviour)


def check_room(room: Room) -> None:
    """Raises `InvalidInput` with the first rule that a registration breaks."""
    check_id(room.id, field="id")
    check_labels(room.labels)
    if not (math.isfinite(room.stale_after_s) and 0 < room.stale_after_s <= STALE_LIMIT_S):
        raise InvalidInput(f"stale_after_s is {room.stale_after_s}; it is above 0 and at most {STALE_LIMIT_S:g}")
    load_room_behaviour(room.behaviour)


def _registered(share: Share, id_: str) -> Device:
    if (actor := share.partition.actors.devices.get(id_)) is None:
        raise NotFound(f"device {id_!r} is not registered")
    return actor.device


def _patched(before: T, patch: dict[str, Any], fields: tuple[str, ...], *, now_us: int) -> T:
    if unknown := patch.keys() - set(fields):
        raise InvalidInput(f"{min(unknown)!r} cannot be changed; {', '.join(fields[:-1])} and {fields[-1]} can")
    try:
        changed = msgspec.convert(merge_patch(msgspec.to_builtins(before), patch), type(before))
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the patch does not fit a {type(before).__name__.lower()}: {error}") from error
    return msgspec.structs.replace(changed, updated_us=now_us)


def _save_room(share: Share, room: Room, action: str, *, by: str, now_us: int, detail: dict[str, Any]) -> Room:
    share.partition.actors.activate_room(room, RoomState())
    share.registered_rooms.append(room)
    note(share, by, action, Address("room", room.id), now_us, detail)
    return room
