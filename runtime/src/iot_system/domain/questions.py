"""What gateways ask the actors, and the answers (MessagePack over request-reply)."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from iot_system.domain.access import Scope
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command, CommandStatus
from iot_system.domain.history import HistoryQuery
from iot_system.domain.registry import ApiToken, Credential, Device, Room
from iot_system.domain.twin import DeviceState, RoomState


class GetAccess(msgspec.Struct, frozen=True, tag=True):
    """→ `list[DeviceAccess]` of those ids that are registered."""

    ids: list[str]


class PutDevices(msgspec.Struct, frozen=True, tag=True):
    """Register new devices → `Registered`."""

    devices: list[Device]
    by: str = ""


class PatchDevice(msgspec.Struct, frozen=True, tag=True):
    """Merge ``patch`` (RFC 7396, checked fields only) into a device → `Device`."""

    id: str
    patch: dict[str, Any]
    by: str = ""


class DeleteDevice(msgspec.Struct, frozen=True, tag=True):
    """Remove a device with its twin, credentials and history → None."""

    id: str
    by: str = ""


class AddCredential(msgspec.Struct, frozen=True, tag=True):
    """→ None."""

    credential: Credential
    by: str = ""


class DeleteCredential(msgspec.Struct, frozen=True, tag=True):
    """→ None."""

    device: str
    credential: str
    by: str = ""


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
    """→ `Page` of `Device`, by id; ``label`` is ``name=value``; only those that ``scopes`` leave in sight."""

    room: str | None = None
    label: str | None = None
    limit: int = 100
    cursor: str | None = None
    scopes: tuple[Scope, ...] = ()


class ListRooms(msgspec.Struct, frozen=True, tag=True):
    """→ `Page` of `Room`, by id: those registered and those heard of; only what ``scopes`` leave in sight."""

    limit: int = 100
    cursor: str | None = None
    scopes: tuple[Scope, ...] = ()


class GetReadings(msgspec.Struct, frozen=True, tag=True):
    """→ `Stretch[Reading]`."""

    query: HistoryQuery


class GetBuckets(msgspec.Struct, frozen=True, tag=True):
    """→ `Stretch[Bucket]`."""

    query: HistoryQuery


class PatchDesired(msgspec.Struct, frozen=True, tag=True):
    """Merge ``patch`` into the desired state of a device → `DesiredView`.

    Raises `PreconditionFailed` where ``if_version`` is given and is not the version now.
    """

    id: str
    patch: dict[str, Any]
    if_version: int | None = None
    by: str = ""


class PutCommand(msgspec.Struct, frozen=True, tag=True):
    """Give a device a command, once: the same id again → the same `Command` as it is now.

    The id of one that ``is_fresh`` was made for it, so nobody is asked whether it was given before.

    Raises `Conflict` where a command of this id has another name or payload, `Overloaded` where too many are open.
    """

    command: Command
    is_fresh: bool = False


class GetCommand(msgspec.Struct, frozen=True, tag=True):
    """→ `Command`."""

    device: str
    id: str


class TakeCommands(msgspec.Struct, frozen=True, tag=True):
    """A device that speaks HTTP only takes its open commands, which counts as their delivery → `list[Command]`."""

    device: str


class CancelCommand(msgspec.Struct, frozen=True, tag=True):
    """→ `Command`, cancelled unless it was at its end already."""

    device: str
    id: str
    by: str = ""


class ListCommands(msgspec.Struct, frozen=True, tag=True):
    """→ `Page` of `Command`, the newest first; ``status`` ``pending`` means those not at their end, oldest first."""

    device: str
    status: CommandStatus | Literal["pending"] | None = None
    limit: int = 100
    cursor: str | None = None


class GetRoomCommand(msgspec.Struct, frozen=True, tag=True):
    """→ `list[Command]`: what became of a room's command at each device, by device."""

    room: str
    id: str


class PutRoom(msgspec.Struct, frozen=True, tag=True):
    """Register a room or overwrite its registration → `Room`."""

    room: Room
    by: str = ""


class PatchRoom(msgspec.Struct, frozen=True, tag=True):
    """Merge ``patch`` (checked fields only) into a room's registration → `Room`."""

    id: str
    patch: dict[str, Any]
    by: str = ""


class DeleteRoom(msgspec.Struct, frozen=True, tag=True):
    """Forget a room. Raises `Conflict` while devices are registered in it → None."""

    id: str
    by: str = ""


class PatchRoomDesired(msgspec.Struct, frozen=True, tag=True):
    """Merge ``patch`` into a room's desired state, and into that of all its devices → `DesiredView`."""

    id: str
    patch: dict[str, Any]
    if_version: int | None = None
    by: str = ""


class GetTokens(msgspec.Struct, frozen=True, tag=True):
    """→ `list[ApiToken]` of those ids that exist."""

    ids: list[str]


class PutToken(msgspec.Struct, frozen=True, tag=True):
    """→ None."""

    token: ApiToken
    by: str = ""


class DeleteToken(msgspec.Struct, frozen=True, tag=True):
    """→ None. Raises `NotFound`."""

    id: str
    by: str = ""


class ListTokens(msgspec.Struct, frozen=True, tag=True):
    """→ `Page` of `ApiToken`, by id."""

    limit: int = 100
    cursor: str | None = None


class ListAudit(msgspec.Struct, frozen=True, tag=True):
    """→ `Page` of `AuditEntry`, the newest first; ``target`` like ``devices/ID``."""

    target: str | None = None
    by: str | None = None
    limit: int = 100
    cursor: str | None = None


class GetFailures(msgspec.Struct, frozen=True, tag=True):
    """→ `list[Failure]`: the messages at which an actor's behaviour raised, the newest first."""

    actor: Address


Question: TypeAlias = (
    PatchDesired
    | PutCommand
    | GetCommand
    | TakeCommands
    | CancelCommand
    | ListCommands
    | GetRoomCommand
    | PutRoom
    | PatchRoom
    | DeleteRoom
    | PatchRoomDesired
    | GetTokens
    | PutToken
    | DeleteToken
    | ListTokens
    | ListAudit
    | GetFailures
    | GetAccess
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
    """A room as its actor sees it; a room that nobody registered has the defaults of `Room`."""

    room: Room
    state: RoomState

    @property
    def id(self) -> str:
        return self.room.id


class DesiredView(msgspec.Struct, frozen=True):
    """Desired state as it is now."""

    desired: dict[str, Any]
    version: int


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A message at which a behaviour raised, kept for a look: ``message`` as text, ``handler`` like ``on_reading``."""

    actor: Address
    time_us: int
    handler: str
    error: str
    message: str


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
