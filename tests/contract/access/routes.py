"""The table of routes: how each is called, and who may call it. A route that is not here fails its test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.contract.access.callers import CALLERS, DEVICES, PERSONS

Outcome = Literal["may", 401, 403, 404]
Cells = Mapping[str, Outcome]
Named = Literal["device", "room"]


@dataclass(frozen=True)
class Call:
    """How a route is called: ``{target}`` is what it names, ``{fresh}`` a new id.

    ``fresh`` says that each call gets a target of its own, because it destroys it.
    """

    method: str
    path: str
    who: Cells
    body: Any = None
    lines: str = ""
    fresh: Named | None = None


def cells(least: str, *, devices: Mapping[str, Outcome], named: bool, unscoped: bool = False) -> Cells:
    """A row: persons from the role ``least`` on; out of scope they do not find what is named."""
    row: dict[str, Outcome] = {"nobody": 401, "first admin": "may", **devices}
    for role in PERSONS:
        may: Outcome = "may" if PERSONS.index(role) >= PERSONS.index(least) else 403
        row[role] = row[f"{role} by JWT"] = may
        row[f"{role} in scope"] = 403 if unscoped else may
        row[f"{role} out of scope"] = 403 if unscoped or may == 403 else 404 if named else "may"
    assert row.keys() == set(CALLERS)
    return row


ITSELF: Mapping[str, Outcome] = {"device": "may", "gateway": "may", "stranger": 403}
NO_DEVICE: Mapping[str, Outcome] = dict.fromkeys(DEVICES, 403)
ANY_DEVICE: Mapping[str, Outcome] = dict.fromkeys(DEVICES, "may")

READ_DEVICE = cells("viewer", devices=ITSELF, named=True)
SPEAK_FOR_DEVICE = cells("operator", devices=ITSELF, named=True)
LOOK_INTO = cells("viewer", devices=NO_DEVICE, named=True)
OPERATE = cells("operator", devices=NO_DEVICE, named=True)
ADMINISTER = cells("admin", devices=NO_DEVICE, named=True)
LIST = cells("viewer", devices=NO_DEVICE, named=False)
REGISTER: Cells = {**cells("admin", devices=NO_DEVICE, named=False), "admin out of scope": 403}
WHOLE_SYSTEM = cells("admin", devices=NO_DEVICE, named=False, unscoped=True)
ANYBODY: Cells = dict.fromkeys(CALLERS, "may")

_ONE, _LAB = "/v1/devices/{target}", "/v1/rooms/{target}"
_FRESH = {"id": "{fresh}", "room": "lab"}
_COMMAND = {"name": "restart", "timeout_s": 1}

ROUTES: dict[str, Call] = {
    "createDevice": Call("POST", "/v1/devices", REGISTER, _FRESH),
    "importDevices": Call("POST", "/v1/devices:import", REGISTER, lines='{"id": "{fresh}", "room": "lab"}'),
    "listDevices": Call("GET", "/v1/devices", LIST),
    "getDevice": Call("GET", _ONE, READ_DEVICE),
    "patchDevice": Call("PATCH", _ONE, ADMINISTER, {"enabled": True}),
    "deleteDevice": Call("DELETE", _ONE, ADMINISTER, fresh="device"),
    "issueToken": Call("POST", f"{_ONE}/credentials", ADMINISTER),
    "listCredentials": Call("GET", f"{_ONE}/credentials", ADMINISTER),
    "revokeCredential": Call("DELETE", f"{_ONE}/credentials/none", ADMINISTER),
    "sendTelemetry": Call("POST", f"{_ONE}/telemetry", SPEAK_FOR_DEVICE, {"t": 1}),
    "sendBulkTelemetry": Call("POST", "/v1/telemetry", SPEAK_FOR_DEVICE, [{"device": "{target}", "values": {"t": 1}}]),
    "getHistory": Call("GET", f"{_ONE}/telemetry", READ_DEVICE),
    "getDeviceTwin": Call("GET", f"{_ONE}/twin", READ_DEVICE),
    "patchDesired": Call("PATCH", f"{_ONE}/twin/desired", OPERATE, {"on": True}),
    "explainDeviceTwin": Call("GET", f"{_ONE}/twin:explain", ADMINISTER),
    "sendCommand": Call("POST", f"{_ONE}/commands", OPERATE, _COMMAND),
    "listCommands": Call("GET", f"{_ONE}/commands", READ_DEVICE),
    "getCommand": Call("GET", f"{_ONE}/commands/none", READ_DEVICE),
    "cancelCommand": Call("DELETE", f"{_ONE}/commands/none", OPERATE),
    "answerCommand": Call("POST", f"{_ONE}/commands/none/result", SPEAK_FOR_DEVICE, {"status": "succeeded"}),
    "listFailures": Call("GET", f"{_ONE}/failures", LOOK_INTO),
    "listRooms": Call("GET", "/v1/rooms", LIST),
    "getRoom": Call("GET", _LAB, LOOK_INTO),
    "putRoom": Call("PUT", _LAB, OPERATE, {"labels": {"floor": "2"}}),
    "patchRoom": Call("PATCH", _LAB, OPERATE, {"stale_after_s": 600}),
    "deleteRoom": Call("DELETE", _LAB, OPERATE, fresh="room"),
    "getRoomTwin": Call("GET", f"{_LAB}/twin", LOOK_INTO),
    "patchRoomDesired": Call("PATCH", f"{_LAB}/twin/desired", OPERATE, {"on": True}),
    "sendRoomCommand": Call("POST", f"{_LAB}/commands", OPERATE, _COMMAND),
    "getRoomCommand": Call("GET", f"{_LAB}/commands/none", LOOK_INTO),
    "listRoomFailures": Call("GET", f"{_LAB}/failures", LOOK_INTO),
    "listen": Call("GET", "/v1/events", cells("viewer", devices=ANY_DEVICE, named=False)),
    "issueApiToken": Call("POST", "/v1/tokens", WHOLE_SYSTEM, {"name": "new", "role": "viewer"}),
    "listApiTokens": Call("GET", "/v1/tokens", WHOLE_SYSTEM),
    "revokeApiToken": Call("DELETE", "/v1/tokens/none", WHOLE_SYSTEM),
    "listAudit": Call("GET", "/v1/audit", WHOLE_SYSTEM),
    "getHealth": Call("GET", "/health", ANYBODY),
    "getReadiness": Call("GET", "/ready", ANYBODY),
    "getMetrics": Call("GET", "/metrics", ANYBODY),
}
