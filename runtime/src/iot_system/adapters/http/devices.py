"""The registry: devices, one by one, by thousands, and their credentials."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import delete, get, patch, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from iot_system.adapters.http import problems
from iot_system.adapters.http.auth import DevicePath, check_stays_in_sight, itself_or, needs, needs_for_device
from iot_system.adapters.http.batches import BatchReader, check
from iot_system.adapters.http.bodies import Form
from iot_system.adapters.http.openapi import ImportOperation
from iot_system.adapters.http.problems import Rejection
from iot_system.adapters.http.requests import ApiRequest
from iot_system.adapters.http.responses import Response
from iot_system.adapters.http.rules import BEHAVIOUR_PATTERN, ID_PATTERN, LABEL_PATTERN
from iot_system.domain.access import Action, Principal
from iot_system.domain.ids import ID_LENGTH_LIMIT, check_id
from iot_system.domain.permissions import check_registration
from iot_system.domain.readings import stamp
from iot_system.domain.registry import DEFAULT_BEHAVIOUR, LABEL_LENGTH_LIMIT, Device, check_labels
from iot_system.errors import Conflict, InvalidInput

PAGE_LIMIT = 1000

Id = Annotated[str, Meta(pattern=ID_PATTERN, max_length=ID_LENGTH_LIMIT, examples=["sensor-1"])]
RoomId = Annotated[str, Meta(pattern=ID_PATTERN, max_length=ID_LENGTH_LIMIT, examples=["office"])]
GatewayId = Annotated[
    str,
    Meta(
        pattern=ID_PATTERN,
        max_length=ID_LENGTH_LIMIT,
        description="The device that may speak for this one.",
        examples=["gateway-1"],
    ),
]
Behaviour = Annotated[
    str,
    Meta(
        pattern=BEHAVIOUR_PATTERN,
        max_length=256,
        description="The actor's class, as module:Class.",
        examples=[DEFAULT_BEHAVIOUR],
    ),
]
Milliseconds = Annotated[float, Meta(description="Milliseconds since 1970 (UTC).", examples=[1_700_000_000_000])]
Cursor = Annotated[
    str | None, QueryParameter(max_length=1024, description="Continues a list: the last answer's cursor.")
]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_LIMIT, description="The most items in one answer.")]


CredentialId = Annotated[str, PathParameter(description="As told when it was made.")]


class NewDevice(msgspec.Struct, forbid_unknown_fields=True):
    """A device to register."""

    id: Id
    room: RoomId | None = None
    behaviour: Behaviour = DEFAULT_BEHAVIOUR
    labels: Annotated[dict[str, str], Meta(examples=[{"floor": "2"}])] = {}
    enabled: bool = True
    gateway: GatewayId | None = None


class DevicePatch(msgspec.Struct, forbid_unknown_fields=True):
    """A merge patch (RFC 7396): null removes a room, a label or a gateway."""

    room: RoomId | UnsetType | None = UNSET
    behaviour: Behaviour | UnsetType = UNSET
    labels: Annotated[dict[str, str | None], Meta(examples=[{"floor": None}])] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    gateway: GatewayId | UnsetType | None = UNSET


class DeviceRecord(msgspec.Struct):
    """A registered device."""

    id: Id
    room: RoomId | None
    behaviour: Behaviour
    labels: dict[str, str]
    enabled: bool
    gateway: GatewayId | None
    created: Milliseconds
    updated: Milliseconds


class DevicePage(msgspec.Struct):
    """Devices by id; ``cursor`` continues the list, null at its end."""

    items: list[DeviceRecord]
    cursor: str | None


class Imported(msgspec.Struct):
    """What an import did. Devices that existed already were left as they were."""

    created: Annotated[int, Meta(examples=[2])]
    existing: list[str]
    rejected: list[Rejection]


class NewToken(msgspec.Struct):
    """A new credential. The token is shown this once only."""

    credential: str
    device: str
    token: str


class CredentialRecord(msgspec.Struct):
    """A credential of a device, without its token."""

    credential: str
    created: Milliseconds


class CredentialList(msgspec.Struct):
    """All credentials of a device, the oldest first."""

    items: list[CredentialRecord]


_new_devices: BatchReader[NewDevice] = BatchReader(NewDevice)


@post(
    "/devices",
    operation_id="createDevice",
    summary="Register a device",
    tags=["devices"],
    guards=[needs(Action.ADMINISTER)],
    responses=problems.documented(400, 401, 403, 409, 413, 415, 429, 503),
)
async def create_device(request: ApiRequest, data: JSONBody[NewDevice]) -> Response[DeviceRecord]:
    """Register a device."""
    record = _record(await request.gateway.create_device(_checked(data, request.principal), by=request.by))
    return Response(record, headers={"Location": f"/v1/devices/{record.id}"})


@post(
    "/devices:import",
    operation_id="importDevices",
    summary="Register many devices",
    tags=["devices"],
    guards=[needs(Action.ADMINISTER)],
    status_code=200,
    operation_class=ImportOperation,
    responses=problems.documented(400, 401, 403, 409, 413, 429, 503),
)
async def import_devices(request: ApiRequest) -> Imported:
    """Register many devices. A bad line is reported by its number; the good ones are kept."""
    items = await _new_devices.read(Form.NDJSON, await request.body())
    seen: set[str] = set()

    def once(new: NewDevice) -> Device:
        device = _checked(new, request.principal)
        if device.id in seen:
            raise Conflict(f"id {device.id!r} stands on an earlier line already")
        seen.add(device.id)
        return device

    devices, bad = await check(items, once)
    if not devices:
        raise problems.AllRefused(bad, items.rejections(bad))
    imported = await request.gateway.import_devices(devices, by=request.by)
    good = [position for position in items.positions if position not in bad]
    bad |= {
        position: imported.refused[device.id]
        for position, device in zip(good, devices, strict=True)
        if device.id in imported.refused
    }
    if len(imported.refused) == len(devices):
        raise problems.AllRefused(bad, items.rejections(bad))
    created = len(devices) - len(imported.existing) - len(imported.refused)
    return Imported(created, imported.existing, items.rejections(bad))


@get(
    "/devices",
    operation_id="listDevices",
    summary="List devices",
    tags=["devices"],
    guards=[needs(Action.READ)],
    responses=problems.documented(400, 401, 403, 429, 503),
)
async def list_devices(
    request: ApiRequest,
    room: Annotated[str | None, QueryParameter(pattern=ID_PATTERN, max_length=ID_LENGTH_LIMIT)] = None,
    label: Annotated[
        str | None,
        QueryParameter(pattern=LABEL_PATTERN, max_length=2 * LABEL_LENGTH_LIMIT + 1, description="name=value"),
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> DevicePage:
    """List devices by id, of one room or with one label if asked for."""
    page = await request.gateway.list_devices(
        room=room, label=label, limit=limit, cursor=cursor, scopes=request.principal.scopes
    )
    return DevicePage([_record(device) for device in page.items], page.cursor)


@get(
    "/devices/{device:str}",
    operation_id="getDevice",
    summary="Get a device",
    tags=["devices"],
    guards=[itself_or(Action.READ)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def get_device(request: ApiRequest, device: DevicePath) -> DeviceRecord:
    """A device's registration."""
    return _record((await request.gateway.device(request.device_id(device))).device)


@patch(
    "/devices/{device:str}",
    operation_id="patchDevice",
    summary="Change a device",
    tags=["devices"],
    guards=[needs_for_device(Action.ADMINISTER)],
    responses=problems.documented(400, 401, 403, 404, 409, 413, 415, 429, 503),
)
async def patch_device(request: ApiRequest, device: DevicePath, data: JSONBody[DevicePatch]) -> DeviceRecord:
    """Change a device's registration by a merge patch."""
    _check(data)
    device_id, changes = request.device_id(device), msgspec.to_builtins(data)
    await check_stays_in_sight(request, device_id, changes)
    return _record(await request.gateway.patch_device(device_id, changes, by=request.by))


@delete(
    "/devices/{device:str}",
    operation_id="deleteDevice",
    summary="Remove a device",
    tags=["devices"],
    guards=[needs_for_device(Action.ADMINISTER)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def delete_device(request: ApiRequest, device: DevicePath) -> None:
    """Remove a device with its twin, its credentials and its history."""
    await request.gateway.delete_device(request.device_id(device), by=request.by)


@post(
    "/devices/{device:str}/credentials",
    operation_id="issueToken",
    summary="Make a token for a device",
    tags=["credentials"],
    guards=[needs_for_device(Action.ADMINISTER)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def issue_token(request: ApiRequest, device: DevicePath) -> Response[NewToken]:
    """Make a token for a device. Earlier ones stay valid until they are revoked."""
    issued = await request.gateway.issue_token(request.device_id(device), by=request.by)
    body = NewToken(issued.credential, issued.device, issued.token)
    return Response(body, headers={"Cache-Control": "no-store"})


@get(
    "/devices/{device:str}/credentials",
    operation_id="listCredentials",
    summary="List a device's credentials",
    tags=["credentials"],
    guards=[needs_for_device(Action.ADMINISTER)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def list_credentials(request: ApiRequest, device: DevicePath) -> CredentialList:
    """A device's credentials: which there are, and since when. A token is shown when it is made, and never again."""
    found = await request.gateway.credentials(request.device_id(device))
    by_age = sorted(found, key=lambda one: (one.created_us, one.id))
    return CredentialList([CredentialRecord(one.id, stamp(one.created_us)) for one in by_age])


@delete(
    "/devices/{device:str}/credentials/{credential:str}",
    operation_id="revokeCredential",
    summary="Revoke a credential",
    tags=["credentials"],
    guards=[needs_for_device(Action.ADMINISTER)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def revoke_credential(request: ApiRequest, device: DevicePath, credential: CredentialId) -> None:
    """Make a token invalid."""
    await request.gateway.revoke_credential(request.device_id(device), credential, by=request.by)


def _checked(new: NewDevice, principal: Principal) -> Device:
    """Raises `InvalidInput`, `Forbidden` where scopes would not leave the device in sight."""
    check_id(new.id, field="id")
    _check(new)
    check_registration(principal, room=new.room, labels=new.labels)
    return Device(
        id=new.id,
        room=new.room,
        behaviour=new.behaviour,
        labels=new.labels,
        enabled=new.enabled,
        gateway=new.gateway,
    )


def _check(device: NewDevice | DevicePatch) -> None:
    """What a schema cannot say. Raises `InvalidInput`."""
    if isinstance(device.room, str):
        check_id(device.room, field="room")
    if isinstance(device.gateway, str):
        check_id(device.gateway, field="gateway")
    if isinstance(device.behaviour, str) and not device.behaviour.isprintable():
        raise InvalidInput(f"behaviour {device.behaviour!r} has a character that cannot be printed")
    if isinstance(device.labels, dict):
        check_labels(device.labels)


def _record(device: Device) -> DeviceRecord:
    return DeviceRecord(
        id=device.id,
        room=device.room,
        behaviour=device.behaviour,
        labels=device.labels,
        enabled=device.enabled,
        gateway=device.gateway,
        created=stamp(device.created_us),
        updated=stamp(device.updated_us),
    )
