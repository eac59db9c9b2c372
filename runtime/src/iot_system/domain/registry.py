"""What is registered: devices and their credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from iot_system.domain.access import Role, Scope
from iot_system.domain.nothing import NOTHING
from iot_system.errors import InvalidInput

DEFAULT_BEHAVIOUR = "iot_system.actors.device:DeviceActor"
DEFAULT_ROOM_BEHAVIOUR = "iot_system.actors.room:RoomActor"
STALE_AFTER_S = 900.0
LABELS_LIMIT = 64
LABEL_LENGTH_LIMIT = 128


class Device(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A registered device. ``gateway`` names the device that may speak for it. Times count microseconds since 1970."""

    id: str
    room: str | None = None
    behaviour: str = DEFAULT_BEHAVIOUR
    labels: dict[str, str] = NOTHING
    enabled: bool = True
    gateway: str | None = None
    created_us: int = 0
    updated_us: int = 0


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """A registered room. A member that was not heard of for ``stale_after_s`` seconds is stale."""

    id: str
    behaviour: str = DEFAULT_ROOM_BEHAVIOUR
    labels: dict[str, str] = {}
    stale_after_s: float = STALE_AFTER_S
    created_us: int = 0
    updated_us: int = 0


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A device's token, kept as its SHA-256 (tokens bear 256 random bits, so a plain hash cannot be searched)."""

    id: str
    device: str
    sha256: bytes
    created_us: int


class DeviceAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway needs to let a device in."""

    device: Device
    credentials: tuple[Credential, ...]


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """A person's or program's token, kept as its SHA-256; ``scopes`` as in `iot_system.domain.access.Scope`.

    ``expires_us`` is None for one that does not expire by itself.
    """

    id: str
    name: str
    role: Role
    scopes: tuple[Scope, ...] = ()
    sha256: bytes
    created_us: int
    expires_us: int | None = None
    created_by: str = ""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who changed what: ``action`` is the operation's id, ``target`` like ``devices/ID``, ``detail`` JSON."""

    time_us: int
    by: str
    action: str
    target: str
    detail: dict[str, Any] = {}


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list; ``cursor`` continues it, None at its end."""

    items: list[Any]
    cursor: str | None


def check_labels(labels: Mapping[str, str | None]) -> None:
    """Raises `InvalidInput` with the first rule that a device's labels, or a merge patch of them, break."""
    if len(labels) > LABELS_LIMIT:
        raise InvalidInput(f"labels has {len(labels)} entries; the limit is {LABELS_LIMIT}")
    for name, value in labels.items():
        if not name or len(name) > LABEL_LENGTH_LIMIT or "=" in name or not name.isprintable():
            raise InvalidInput(
                f"label {name[:24]!r} must have 1 to {LABEL_LENGTH_LIMIT} printable characters without '='"
            )
        if value is not None and (len(value) > LABEL_LENGTH_LIMIT or not value.isprintable()):
            raise InvalidInput(
                f"label {name!r} is {value[:24]!r}; a value has up to {LABEL_LENGTH_LIMIT} printable characters"
            )
