"""Events as messages: the topic and payload of each, and what is to be listened to for a topic filter. Pure.

| event | topic | payload |
| --- | --- | --- |
| ``reading`` | ``v1/devices/{id}/telemetry`` | ``{"ts", "values"}`` |
| ``twin`` | ``v1/devices/{id}/twin/reported``, ``…/twin/desired`` | ``{"version", "patch"}`` |
| ``command``, first sent | ``v1/devices/{id}/commands/{command}/{name}`` | the command's |
| ``command``, at its end | ``v1/devices/{id}/commands/{command}/result`` | ``{"status", "payload", "reason"}`` |
| ``connection`` | ``v1/devices/{id}/connection`` | ``{"ts", "connected", "reason"}`` |
| ``alert`` | ``v1/devices/{id}/alert``, ``v1/rooms/{id}/alert`` | ``{"ts", "name", "severity", "active", "payload"}`` |
| ``room`` | ``v1/rooms/{id}/twin`` | ``{"version", "patch"}`` |
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from iot_system.adapters.mqtt.topics import overlap
from iot_system.domain.commands import FINAL
from iot_system.domain.readings import milliseconds, stamp
from iot_system.ports.events import Kind, Occurrence, Selection

ROOM_TWINS = "v1/rooms/+/twin"
_DEVICES = "v1/devices"
_KINDS: tuple[tuple[str, Kind], ...] = (
    (f"{_DEVICES}/+/telemetry", "reading"),
    (f"{_DEVICES}/+/twin/reported", "twin"),
    (f"{_DEVICES}/+/twin/desired", "twin"),
    (f"{_DEVICES}/+/commands/+/+", "command"),
    (f"{_DEVICES}/+/connection", "connection"),
    (f"{_DEVICES}/+/alert", "alert"),
    ("v1/rooms/+/alert", "alert"),
    (ROOM_TWINS, "room"),
)
_encode = msgspec.json.Encoder().encode


def selection_of(filters: Iterable[str]) -> Selection | None:
    """What to listen to so that nothing is missed that one of ``filters`` matches; None where there is nothing."""
    devices: set[str] = set()
    kinds: set[Kind] = set()
    is_narrow = True
    for filter_ in filters:
        found = {kind for pattern, kind in _KINDS if overlap(filter_, pattern)}
        kinds |= found
        match filter_.split("/"):
            case ["v1", "devices", device, *_] if device not in ("+", "#"):
                devices.add(device)
            case _:
                is_narrow = is_narrow and not found
    if not kinds:
        return None
    return Selection(devices=frozenset(devices) if is_narrow else frozenset(), kinds=frozenset(kinds))


def message_of(one: Occurrence) -> tuple[str, bytes] | None:
    """The topic and the payload of an event; None where it is none of the table."""
    described = _described(one)
    return None if described is None else (described[0], _encode(described[1]))


def _described(one: Occurrence) -> tuple[str, Any] | None:
    data, device = one.data, f"{_DEVICES}/{one.device}"
    match one.kind:
        case "reading":
            return f"{device}/telemetry", {"ts": milliseconds(one.time_us), "values": data}
        case "twin":
            part = "reported" if "reported" in data else "desired"
            return f"{device}/twin/{part}", {"version": data["version"], "patch": data[part]}
        case "command":
            return _command(device, data)
        case "connection":
            return f"{device}/connection", {"ts": stamp(one.time_us), **data}
        case "alert":
            about = device if one.device is not None else f"v1/rooms/{one.room}"
            return f"{about}/alert", {"ts": stamp(one.time_us), **data}
        case "room":
            return f"v1/rooms/{one.room}/twin", {"version": data["version"], "patch": data["desired"]}
        case _:
            return None


def _command(device: str, data: dict[str, Any]) -> tuple[str, Any] | None:
    topic = f"{device}/commands/{data['id']}"
    if data["status"] in FINAL:
        return f"{topic}/result", {"status": data["status"], "payload": data["result"], "reason": data["reason"]}
    return (f"{topic}/{data['name']}", data["payload"]) if data["status"] == "sent" else None
