"""What is registered: devices and their credentials."""

from __future__ import annotations

from typing import Any

import msgspec

DEFAULT_BEHAVIOUR = "iot_system.actors.device:DeviceActor"
LABELS_LIMIT = 64


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A registered device. Times count microseconds since 1970."""

    id: str
    room: str | None = None
    behaviour: str = DEFAULT_BEHAVIOUR
    labels: dict[str, str] = {}
    enabled: bool = True
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


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list; ``cursor`` continues it, None at its end."""

    items: list[Any]
    cursor: str | None
