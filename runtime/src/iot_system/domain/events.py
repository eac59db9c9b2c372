"""Events: what applications are told. Kept for some time, so that a reader that comes back misses nothing."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from iot_system.domain.readings import Value

EVENTS = -1
"""The outbox's target that stands for the stream of events."""
EventKind: TypeAlias = Literal["twin", "command", "connection", "alert", "room", "error"]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to one device or room. ``data`` is JSON by ``kind``:

    - ``twin``: ``{"reported": patch, "version": n}`` or ``{"desired": patch, "version": n, "by": who}``
    - ``command``: the command, see `iot_system.domain.commands.command_data`
    - ``connection``: ``{"connected": bool, "reason": text or null}``
    - ``alert``: ``{"name", "severity", "active", "payload"}``, raised by a behaviour
    - ``room``: ``{"desired": patch, "version": n, "by": who}``
    - ``error``: ``{"error": text, "handler": name}``: a behaviour raised, or a message was refused (handler null)
    """

    kind: EventKind
    time_us: int
    device: str | None = None
    room: str | None = None
    data: dict[str, Any] = {}


class NewReadings(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """New readings of one device at one moment, for those who listen."""

    device: str
    room: str | None
    time_us: int
    values: dict[str, Value]


encode_events = msgspec.msgpack.Encoder().encode
decode_events = msgspec.msgpack.Decoder(list[Event]).decode
decode_new_readings = msgspec.msgpack.Decoder(list[NewReadings]).decode
