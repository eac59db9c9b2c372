"""What both stores make of registrations: the thing of a row, JSON as text, the sentence where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from sys import intern
from typing import Any

import msgspec

from iot_system.domain.access import Scope
from iot_system.domain.nothing import NOTHING
from iot_system.domain.questions import Failure
from iot_system.domain.registry import ApiToken, AuditEntry, Device, Room
from iot_system.errors import InvalidInput, NotFound

DEVICE = "d.id, d.room, d.behaviour, d.labels, d.enabled, d.gateway, d.created_us, d.updated_us"
"""What `device_of` reads."""
ROOM = "r.behaviour, r.labels, r.stale_after_s, r.created_us, r.updated_us"
"""What `room_of` reads behind the id."""
TOKEN = "id, name, role, scopes, sha256, created_us, expires_us, created_by"  # noqa: S105
"""What `token_of` reads."""
_labels = msgspec.json.Decoder(dict[str, str]).decode
AUDIT = "time_us, author, action, target, detail"
"""What `audit_of` reads."""


def device_of(
    id_: str,
    room: str | None,
    behaviour: str,
    labels: str,
    enabled: bool | int,
    gateway: str | None,
    created_us: int,
    updated_us: int,
) -> Device:
    """The device of a row whose ``labels`` are JSON. What many devices have in common is in memory once."""
    return Device(
        id=id_,
        room=None if room is None else intern(room),
        behaviour=intern(behaviour),
        labels=_labels(labels) if labels != "{}" else NOTHING,
        enabled=bool(enabled),
        gateway=None if gateway is None else intern(gateway),
        created_us=created_us,
        updated_us=created_us if updated_us == created_us else updated_us,
    )


def room_of(
    id_: str, behaviour: str | None, labels: str, stale_after_s: float, created_us: int, updated_us: int
) -> Room:
    """The room of a row; ``behaviour`` and all that follows is null where nobody registered it."""
    if behaviour is None:
        return Room(id=id_)
    return Room(
        id=id_,
        behaviour=behaviour,
        labels=_labels(labels),
        stale_after_s=stale_after_s,
        created_us=created_us,
        updated_us=updated_us,
    )


def token_of(
    id_: str,
    name: str,
    role: Any,
    scopes: str,
    sha256: bytes,
    created_us: int,
    expires_us: int | None,
    created_by: str,
) -> ApiToken:
    """The token of a row whose ``scopes`` are JSON."""
    return ApiToken(
        id=id_,
        name=name,
        role=role,
        scopes=msgspec.json.decode(scopes, type=tuple[Scope, ...]),
        sha256=sha256,
        created_us=created_us,
        expires_us=expires_us,
        created_by=created_by,
    )


def audit_of(time_us: int, author: str, action: str, target: str, detail: str) -> AuditEntry:
    """The entry of a row whose ``detail`` is JSON."""
    return AuditEntry(time_us=time_us, by=author, action=action, target=target, detail=msgspec.json.decode(detail))


def failure_row(failure: Failure) -> tuple[str | int, ...]:
    """Actor's kind and id, time, handler, error and message."""
    actor = failure.actor
    return (
        *(actor.kind, actor.id, failure.time_us, failure.handler),
        *(_storable(failure.error), _storable(failure.message)),
    )


def json_text(value: object) -> str:
    """JSON as the databases take it."""
    return msgspec.json.encode(value).decode()


def not_registered(id_: str) -> NotFound:
    """What is raised for an unknown device."""
    return NotFound(f"device {id_!r} is not registered")


def scoped(scopes: Sequence[Scope]) -> tuple[list[str], list[str]]:
    """The rooms, and the labels as ``name=value``, that ``scopes`` consist of."""
    rooms = [scope.value for scope in scopes if scope.kind == "room"]
    return rooms, [scope.value for scope in scopes if scope.kind == "label"]


def number_of(cursor: str | None) -> int | None:
    """The cursor of a list that goes by a number. Raises `InvalidInput`."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise InvalidInput(f"cursor {cursor[:40]!r} is not one that this list gave")
    return int(cursor)


def _storable(text: str) -> str:
    """A user's text without what a column of text cannot hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
