"""What both stores make of a command: its columns, the command of a row, and the place in a list."""

from __future__ import annotations

from typing import Any

import msgspec

from iot_system.adapters.registrations import json_text, number_of
from iot_system.domain.commands import Command
from iot_system.domain.ids import is_id
from iot_system.errors import InvalidInput

COLUMNS = (
    "id",
    "name",
    "payload",
    "status",
    "created_us",
    "updated_us",
    "expires_us",
    "created_by",
    "room",
    "result",
    "reason",
    "sends",
)
"""Beside the device's key; `command_of` reads them behind the device's id."""
SELECTED = "d.id, " + ", ".join(f"c.{name}" for name in COLUMNS)
CHANGING = "status = excluded.status, updated_us = excluded.updated_us, result = excluded.result, " + (
    "reason = excluded.reason, sends = excluded.sends"
)
OPEN = "status in ('queued', 'sent', 'delivered')"
"""As the indexes have it, so that they are used."""


def row_of(command: Command) -> tuple[Any, ...]:
    """The values of `COLUMNS`."""
    return (
        command.id,
        command.name,
        json_text(command.payload),
        command.status,
        command.created_us,
        command.updated_us,
        command.expires_us,
        command.created_by,
        command.room,
        json_text(command.result),
        command.reason,
        command.sends,
    )


def command_of(
    device: str,
    id_: str,
    name: str,
    payload: str,
    status: Any,
    created_us: int,
    updated_us: int,
    expires_us: int,
    created_by: str,
    room: str | None,
    result: str,
    reason: str | None,
    sends: int,
) -> Command:
    """The command of a row."""
    return Command(
        id=id_,
        device=device,
        name=name,
        payload=msgspec.json.decode(payload),
        status=status,
        created_us=created_us,
        updated_us=updated_us,
        expires_us=expires_us,
        created_by=created_by,
        room=room,
        result=msgspec.json.decode(result),
        reason=reason,
        sends=sends,
    )


def cursor_of(command: Command) -> str:
    """Where a list goes on behind ``command``."""
    return f"{command.created_us}.{command.id}"


def place_of(cursor: str | None) -> tuple[int | None, str]:
    """The time and id that `cursor_of` wrote. Raises `InvalidInput`."""
    if cursor is None:
        return None, ""
    time_us, _, id_ = cursor.partition(".")
    if not is_id(id_):
        raise InvalidInput(f"cursor {cursor[:40]!r} is not one that this list gave")
    return number_of(time_us), id_
