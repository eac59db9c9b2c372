"""Commands: requests to a device with a life of their own.

queued → sent → delivered → succeeded or failed; from everywhere before the end also → expired or cancelled. Each ends
in one of the final four, once, and stays there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from iot_system.domain.ids import check_id
from iot_system.domain.payloads import plain
from iot_system.domain.readings import stamp
from iot_system.errors import InvalidInput

CommandStatus: TypeAlias = Literal["queued", "sent", "delivered", "succeeded", "failed", "expired", "cancelled"]
FINAL: frozenset[CommandStatus] = frozenset({"succeeded", "failed", "expired", "cancelled"})
_RANK: dict[CommandStatus, int] = {
    "queued": 0,
    "sent": 1,
    "delivered": 2,
    "succeeded": 3,
    "failed": 3,
    "expired": 3,
    "cancelled": 3,
}

OPEN_LIMIT = 100
"""Commands of one device that are not at their end."""
PAYLOAD_LIMIT = 64 * 1024
"""Bytes of a payload, and of a result, as JSON."""
TIMEOUT_S = 60.0
"""A command's life where the caller names none."""
TIMEOUT_LIMIT_S = 30 * 24 * 3600.0
RESEND_AFTER_S = 10.0
"""A command that was sent and whose delivery was not confirmed is sent again after this."""


class Command(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One command to one device. Times count microseconds since 1970.

    ``result`` is what the device answered, ``reason`` a sentence where it failed, expired or was cancelled. ``room``
    names the room whose command this is a part of; ``sends`` counts how often it went out.
    """

    id: str
    device: str
    name: str
    payload: Any = None
    status: CommandStatus = "queued"
    created_us: int
    updated_us: int
    expires_us: int
    created_by: str = ""
    room: str | None = None
    result: Any = None
    reason: str | None = None
    sends: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it has not reached its end."""
        return self.status not in FINAL

    def moved(self, status: CommandStatus, *, now_us: int, result: Any = None, reason: str | None = None) -> Command:
        """The command in a later ``status``; itself where it is at its end, or further on already."""
        if not self.is_open or _RANK[status] < _RANK[self.status]:
            return self
        return msgspec.structs.replace(self, status=status, updated_us=now_us, result=result, reason=reason)


def command_data(command: Command) -> dict[str, Any]:
    """A command as JSON, in events and in REST; times in whole milliseconds since 1970."""
    return {
        "id": command.id,
        "device": command.device,
        "room": command.room,
        "name": command.name,
        "payload": command.payload,
        "status": command.status,
        "created": stamp(command.created_us),
        "created_by": command.created_by,
        "updated": stamp(command.updated_us),
        "expires": stamp(command.expires_us),
        "result": command.result,
        "reason": command.reason,
    }


def command_of(data: Mapping[str, Any]) -> Command:
    """The command that `command_data` gave; how often it went out is not told there, nor fractions of milliseconds."""
    return Command(
        id=data["id"],
        device=data["device"],
        name=data["name"],
        payload=data["payload"],
        status=data["status"],
        created_us=round(data["created"] * 1000),
        updated_us=round(data["updated"] * 1000),
        expires_us=round(data["expires"] * 1000),
        created_by=data["created_by"],
        room=data["room"],
        result=data["result"],
        reason=data["reason"],
    )


def check_command(command: Command) -> None:
    """Raises `InvalidInput` with the first rule that a new command breaks."""
    check_id(command.id, field="id")
    check_id(command.device, field="device")
    check_id(command.name, field="name")
    check_payload(command.payload, field="payload")
    if command.expires_us - command.created_us > TIMEOUT_LIMIT_S * 1e6:
        raise InvalidInput(f"the command expires in more than {TIMEOUT_LIMIT_S / 86_400:g} days, the limit")


def check_payload(payload: object, *, field: str) -> None:
    """Raises `InvalidInput` for what is no JSON, `TooLarge` for more than `PAYLOAD_LIMIT`."""
    plain(payload, field=field, limit=PAYLOAD_LIMIT)
