"""What gateways ask the actors, and the answers (MessagePack over request-reply)."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from iot_system.domain.history import HistoryQuery
from iot_system.domain.registry import Credential, Device
from iot_system.domain.twin import DeviceState, RoomState


class GetAccess(msgspec.Struct, frozen=True, tag=True):
    """→ `list[DeviceAccess]` of those ids that are registered."""

    ids: list[str]


class PutDevices(msgspec.Struct, frozen=True, tag=True):
    """Register new devices → `Registered`."""

    devices: list[Device]


class PatchDevice(msgspec.Struct, frozen=True, tag=True):
    """Merge ``patch`` (RFC 7396, checked fields only) into a device → `Device`."""

    id: str
    patch: dict[str, Any]


class DeleteDevice(msgspec.Struct, frozen=True, tag=True):
    """Remove a device with its twin, credentials and history → None."""

    id: str


class AddCredential(msgspec.Struct, frozen=True, tag=True):
    """→ None."""

    credential: Credential


class DeleteCredential(msgspec.Struct, frozen=True, tag=True):
    """→ None."""

    device: str
    credential: str


class GetDevice(msgspec.Struct, frozen=True, tag=True):
    """→ `DeviceView`: the registration and the twin as the actor holds it now."""

    id: str


class GetRoom(msgspec.Struct, frozen=True, tag=True):
    """→ `RoomView`."""

    id: str


class Explain(msgspec.Struct, frozen=True, tag=True):
    """→ `Explanation` of the partition that owns a device."""

    id: str


class ListDevices(msgspec.Struct, frozen=True, tag=True):
    """→ `Page` of `Device`, by id; ``label`` is ``name=value``."""

    room: str | None = None
    label: str | None = None
    limit: int = 100
    cursor: str | None = None


class ListRooms(msgspec.Struct, frozen=True, tag=True):
    """→ `Page` of room ids, in their order."""

    limit: int = 100
    cursor: str | None = None


class GetReadings(msgspec.Struct, frozen=True, tag=True):
    """→ `Stretch[Reading]`."""

    query: HistoryQuery


class GetBuckets(msgspec.Struct, frozen=True, tag=True):
    """→ `Stretch[Bucket]`."""

    query: HistoryQuery


Question: TypeAlias = (
    GetAccess
    | PutDevices
    | PatchDevice
    | DeleteDevice
    | AddCredential
    | DeleteCredential
    | GetDevice
    | GetRoom
    | Explain
    | ListDevices
    | ListRooms
    | GetReadings
    | GetBuckets
)


class DeviceView(msgspec.Struct, frozen=True):
    """A device as its actor sees it."""

    device: Device
    state: DeviceState


class RoomView(msgspec.Struct, frozen=True):
    """A room as its actor sees it."""

    id: str
    state: RoomState


class Explanation(msgspec.Struct, frozen=True):
    """Who owns an actor now. ``applied`` is the stream sequence of the last committed frame, ``lag`` what waits."""

    partition: int
    shard: str
    node: str
    epoch: int
    applied: int
    lag: int
    last_error: str | None


class Registered(msgspec.Struct, frozen=True):
    """What became of new devices: ``existing`` ids were left as they were, ``refused`` ones tell why by id."""

    existing: list[str]
    refused: dict[str, Refusal]


class Answer(msgspec.Struct, frozen=True, tag=True):
    """The question's result, still encoded."""

    result: msgspec.Raw


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """``error`` names a class of `iot_system.errors`."""

    error: str
    message: str
    after_s: float = 1.0
