"""Commands of devices: given, awaited, cancelled; and taken and answered by devices that speak HTTP only."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from iot_system.adapters.http import problems
from iot_system.adapters.http.auth import DevicePath, itself_or, needs_for_device
from iot_system.adapters.http.devices import Cursor, Id, Limit, Milliseconds
from iot_system.adapters.http.openapi import ID_SCHEMA
from iot_system.adapters.http.requests import ApiRequest
from iot_system.adapters.http.responses import Response
from iot_system.adapters.http.rules import ID_PATTERN
from iot_system.adapters.http.telemetry import Accepted
from iot_system.domain.access import Action
from iot_system.domain.commands import (
    TIMEOUT_LIMIT_S,
    TIMEOUT_S,
    Command,
    CommandStatus,
    check_payload,
    command_data,
)
from iot_system.domain.ids import ID_LENGTH_LIMIT, check_id
from iot_system.domain.signals import CommandAnswer
from iot_system.errors import InvalidInput
from iot_system.ports.commanding import WAIT_LIMIT_S, NewCommand

LATEST_MS = 2**53
CommandPath = Annotated[str, PathParameter(description="A command's id.", schema_extra=ID_SCHEMA)]
WaitS = Annotated[
    float, QueryParameter(ge=0, le=WAIT_LIMIT_S, description="Wait so many seconds for what is not there yet.")
]
Status = Annotated[
    CommandStatus | Literal["pending"] | None,
    QueryParameter(description="Only these; `pending` are those not at their end, the oldest first."),
]


class CommandBody(msgspec.Struct, forbid_unknown_fields=True):
    """A command to give. The same ``id`` again is the same command."""

    name: Annotated[str, Meta(pattern=ID_PATTERN, max_length=ID_LENGTH_LIMIT, examples=["restart"])]
    payload: Any = None
    id: Id | UnsetType = UNSET
    timeout_s: (
        Annotated[float, Meta(gt=0, le=TIMEOUT_LIMIT_S, description=f"{TIMEOUT_S:g} by default.")] | UnsetType
    ) = UNSET
    expires_at: Annotated[float, Meta(description="Instead of timeout_s: milliseconds since 1970.")] | UnsetType = UNSET


class CommandRecord(msgspec.Struct, kw_only=True):
    """A command. ``result`` is what the device answered, ``reason`` says why it failed, expired or was cancelled."""

    id: Id
    device: str
    room: str | None
    name: str
    payload: Any
    status: CommandStatus
    created: Milliseconds
    created_by: str
    updated: Milliseconds
    expires: Milliseconds
    result: Any
    reason: str | None


class CommandPage(msgspec.Struct):
    """Commands; ``cursor`` continues the list, null at its end."""

    items: list[CommandRecord]
    cursor: str | None


class CommandResult(msgspec.Struct, forbid_unknown_fields=True):
    """What became of a command, said by its device."""

    status: Literal["succeeded", "failed"]
    payload: Any = None


@post(
    "/devices/{device:str}/commands",
    operation_id="sendCommand",
    summary="Give a device a command",
    tags=["commands"],
    guards=[needs_for_device(Action.OPERATE)],
    responses=problems.documented(400, 401, 403, 404, 409, 413, 415, 429, 503),
)
async def send_command(request: ApiRequest, device: DevicePath, data: JSONBody[CommandBody]) -> Response[CommandRecord]:
    """Give a device a command. It is durable once this is answered."""
    command = await request.gateway.commands.put(request.device_id(device), new_command(request, data))
    location = f"/v1/devices/{command.device}/commands/{command.id}"
    return Response(record(command), headers={"Location": location})


@get(
    "/devices/{device:str}/commands",
    operation_id="listCommands",
    summary="List a device's commands",
    tags=["commands"],
    guards=[itself_or(Action.READ)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def list_commands(
    request: ApiRequest,
    device: DevicePath,
    status: Status = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    wait_s: WaitS = 0.0,
) -> CommandPage:
    """A device's commands, the newest first.

    With `wait_s` and nothing to tell yet, the answer comes as soon as there is something. A device that asks for its
    `pending` ones takes all of them, which counts as their delivery.
    """
    device_id, commands = request.device_id(device), request.gateway.commands
    if status == "pending" and request.principal.role == "device":
        return CommandPage([record(one) for one in await commands.take(device_id, wait_s=wait_s)], None)
    page = await commands.page(device_id, status=status, limit=limit, cursor=cursor, wait_s=wait_s)
    return CommandPage([record(one) for one in page.items], page.cursor)


@get(
    "/devices/{device:str}/commands/{command:str}",
    operation_id="getCommand",
    summary="Get a command",
    tags=["commands"],
    guards=[itself_or(Action.READ)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def get_command(
    request: ApiRequest, device: DevicePath, command: CommandPath, wait_s: WaitS = 0.0
) -> CommandRecord:
    """A command. With `wait_s` the answer comes when it is at its end, or after this time."""
    id_ = check_id(command, field="command")
    return record(await request.gateway.commands.get(request.device_id(device), id_, wait_s=wait_s))


@delete(
    "/devices/{device:str}/commands/{command:str}",
    operation_id="cancelCommand",
    summary="Cancel a command",
    tags=["commands"],
    guards=[needs_for_device(Action.OPERATE)],
    status_code=200,
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def cancel_command(request: ApiRequest, device: DevicePath, command: CommandPath) -> CommandRecord:
    """Cancel a command, unless it is at its end already; the answer tells which."""
    id_ = check_id(command, field="command")
    return record(await request.gateway.commands.cancel(request.device_id(device), id_, by=request.by))


@post(
    "/devices/{device:str}/commands/{command:str}/result",
    operation_id="answerCommand",
    summary="Say what became of a command",
    tags=["commands"],
    guards=[itself_or(Action.OPERATE)],
    status_code=202,
    responses=problems.documented(400, 401, 403, 404, 413, 415, 429, 503),
)
async def answer_command(
    request: ApiRequest, device: DevicePath, command: CommandPath, data: JSONBody[CommandResult]
) -> Accepted:
    """Say what became of a command, as its device. It is durable once this is answered; only the first one counts."""
    check_payload(data.payload, field="payload")
    answer = CommandAnswer(
        request.device_id(device),
        check_id(command, field="command"),
        data.status,
        data.payload,
        request.gateway.now_us(),
    )
    (refusal,) = await request.gateway.ingest(request.principal, [answer])
    if refusal is not None:
        raise refusal
    return Accepted(1)


def new_command(request: ApiRequest, body: CommandBody) -> NewCommand:
    """Raises `InvalidInput`."""
    created_us = request.gateway.now_us()
    if body.expires_at is UNSET:
        expires_us = created_us + round((TIMEOUT_S if body.timeout_s is UNSET else body.timeout_s) * 1e6)
    elif body.timeout_s is not UNSET:
        raise InvalidInput("timeout_s and expires_at are both given; one of them is enough")
    elif not created_us / 1000 < body.expires_at < LATEST_MS:
        raise InvalidInput(f"expires_at is {body.expires_at}, which is not in the future (now is {created_us // 1000})")
    else:
        expires_us = round(body.expires_at * 1000)
    return NewCommand(
        id=secrets.token_hex(12) if body.id is UNSET else check_id(body.id, field="id"),
        name=check_id(body.name, field="name"),
        payload=body.payload,
        created_us=created_us,
        expires_us=expires_us,
        by=request.by,
        is_fresh=body.id is UNSET,
    )


def record(command: Command) -> CommandRecord:
    """As the interface shows it."""
    return CommandRecord(**command_data(command))
