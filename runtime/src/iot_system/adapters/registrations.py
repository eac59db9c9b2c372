"""What both stores make of a registration: the device of a row, JSON as text, the sentence where there is none."""

from __future__ import annotations

import msgspec

from iot_system.domain.registry import Device
from iot_system.errors import NotFound


def device_of(
    id_: str, room: str | None, behaviour: str, labels: str, enabled: bool | int, created_us: int, updated_us: int
) -> Device:
    """The device of a row whose ``labels`` are JSON."""
    return Device(
        id=id_,
        room=room,
        behaviour=behaviour,
        labels=msgspec.json.decode(labels, type=dict[str, str]),
        enabled=bool(enabled),
        created_us=created_us,
        updated_us=updated_us,
    )


def json_text(value: list[str] | dict[str, str]) -> str:
    """JSON as the databases take it."""
    return msgspec.json.encode(value).decode()


def not_registered(id_: str) -> NotFound:
    """What is raised for an unknown device."""
    return NotFound(f"device {id_!r} is not registered")
