"""API tokens, the audit log, and the failures of behaviours."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from iot_system.adapters.http import problems
from iot_system.adapters.http.auth import DevicePath, needs, needs_for_device, needs_for_room
from iot_system.adapters.http.devices import Cursor, Limit, Milliseconds
from iot_system.adapters.http.requests import ApiRequest
from iot_system.adapters.http.responses import Response
from iot_system.adapters.http.rooms import RoomInPath
from iot_system.domain.access import Action, parse_scope
from iot_system.domain.addresses import Address
from iot_system.domain.ids import check_id
from iot_system.domain.questions import Failure
from iot_system.domain.readings import stamp
from iot_system.domain.registry import ApiToken, AuditEntry
from iot_system.errors import InvalidInput

NAME_LIMIT = 128
SCOPES_LIMIT = 64
LATEST_MS = 2**53
TokenPath = Annotated[str, PathParameter(description="An API token's id.")]
Text = Annotated[str | None, QueryParameter(max_length=512)]


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """An API token to make. ``scopes`` narrow the role; several widen again."""

    name: Annotated[str, Meta(min_length=1, max_length=NAME_LIMIT, description="For people.", examples=["dashboard"])]
    role: Literal["viewer", "operator", "admin"]
    scopes: Annotated[
        list[Annotated[str, Meta(max_length=512)]],
        Meta(max_length=SCOPES_LIMIT, description="room:ID or label:name=value", examples=[["room:office"]]),
    ] = []
    expires: Milliseconds | UnsetType | None = UNSET


class TokenRecord(msgspec.Struct, kw_only=True):
    """An API token, without its secret; ``expires`` is null for one that does not by itself."""

    id: str
    name: str
    role: Literal["viewer", "operator", "admin", "device"]
    scopes: list[str]
    created: Milliseconds
    created_by: str
    expires: Milliseconds | None


class IssuedTokenRecord(TokenRecord, kw_only=True):
    """A new API token. ``token`` is shown this once only."""

    token: str


class TokenPage(msgspec.Struct):
    """API tokens by id; ``cursor`` continues the list, null at its end."""

    items: list[TokenRecord]
    cursor: str | None


class AuditRecord(msgspec.Struct):
    """Who changed what; ``target`` is like ``devices/ID``."""

    ts: Milliseconds
    by: str
    action: str
    target: str
    detail: dict[str, Any]


class AuditPage(msgspec.Struct):
    """Changes, the newest first; ``cursor`` continues the list, null at its end."""

    items: list[AuditRecord]
    cursor: str | None


class FailureRecord(msgspec.Struct):
    """A message at which a behaviour raised."""

    ts: Milliseconds
    handler: str
    error: str
    message: str


class Failures(msgspec.Struct):
    """The newest failures of one behaviour, the newest first."""

    items: list[FailureRecord]


@post(
    "/tokens",
    operation_id="issueApiToken",
    summary="Make an API token",
    tags=["tokens"],
    guards=[needs(Action.ADMINISTER, unscoped=True)],
    responses=problems.documented(400, 401, 403, 413, 415, 429, 503),
)
async def issue_api_token(request: ApiRequest, data: JSONBody[NewToken]) -> Response[IssuedTokenRecord]:
    """Make a token for a person or a program."""
    if not data.name.isprintable():
        raise InvalidInput(f"name {data.name[:24]!r} has a character that cannot be printed")
    expires_us = None
    if isinstance(data.expires, float):
        if not request.gateway.now_us() / 1000 < data.expires < LATEST_MS:
            raise InvalidInput(f"expires is {data.expires}, which is not in the future")
        expires_us = round(data.expires * 1000)
    issued = await request.gateway.administration.issue_api_token(
        data.name,
        data.role,
        tuple(dict.fromkeys(parse_scope(scope) for scope in data.scopes)),
        expires_us=expires_us,
        by=request.by,
    )
    record = _token(issued.token)
    body = IssuedTokenRecord(**msgspec.structs.asdict(record), token=issued.secret)
    return Response(body, headers={"Location": f"/v1/tokens/{record.id}", "Cache-Control": "no-store"})


@get(
    "/tokens",
    operation_id="listApiTokens",
    summary="List API tokens",
    tags=["tokens"],
    guards=[needs(Action.ADMINISTER, unscoped=True)],
    responses=problems.documented(400, 401, 403, 429, 503),
)
async def list_api_tokens(request: ApiRequest, limit: Limit = 100, cursor: Cursor = None) -> TokenPage:
    """API tokens by id, without their secrets."""
    page = await request.gateway.administration.list_api_tokens(limit=limit, cursor=cursor)
    return TokenPage([_token(one) for one in page.items], page.cursor)


@delete(
    "/tokens/{token:str}",
    operation_id="revokeApiToken",
    summary="Revoke an API token",
    tags=["tokens"],
    guards=[needs(Action.ADMINISTER, unscoped=True)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def revoke_api_token(request: ApiRequest, token: TokenPath) -> None:
    """Make an API token invalid."""
    await request.gateway.administration.revoke_api_token(check_id(token, field="token"), by=request.by)


@get(
    "/audit",
    operation_id="listAudit",
    summary="List who changed what",
    tags=["audit"],
    guards=[needs(Action.ADMINISTER, unscoped=True)],
    responses=problems.documented(400, 401, 403, 429, 503),
)
async def list_audit(
    request: ApiRequest, target: Text = None, by: Text = None, limit: Limit = 100, cursor: Cursor = None
) -> AuditPage:
    """Changes, the newest first; of one `target` such as devices/sensor-1, or `by` one client such as admin:admin."""
    for name, value in (("target", target), ("by", by)):
        if value is not None and not value.isprintable():
            raise InvalidInput(f"{name} is {value[:80]!r}, which has a character that cannot be printed")
    page = await request.gateway.administration.audit(target=target, by=by, limit=limit, cursor=cursor)
    return AuditPage([_entry(one) for one in page.items], page.cursor)


@get(
    "/devices/{device:str}/failures",
    operation_id="listFailures",
    summary="List failures of a device's behaviour",
    tags=["devices"],
    guards=[needs_for_device(Action.READ)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def list_failures(request: ApiRequest, device: DevicePath) -> Failures:
    """The messages at which the device's behaviour raised, kept for a look."""
    actor = Address("device", request.device_id(device))
    return Failures([_failure(one) for one in await request.gateway.administration.failures(actor)])


@get(
    "/rooms/{room:str}/failures",
    operation_id="listRoomFailures",
    summary="List failures of a room's behaviour",
    tags=["rooms"],
    guards=[needs_for_room(Action.READ)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def list_room_failures(request: ApiRequest, room: RoomInPath) -> Failures:
    """The messages at which the room's behaviour raised, kept for a look."""
    actor = Address("room", check_id(room, field="room"))
    return Failures([_failure(one) for one in await request.gateway.administration.failures(actor)])


def _token(token: ApiToken) -> TokenRecord:
    return TokenRecord(
        id=token.id,
        name=token.name,
        role=token.role,
        scopes=[f"{scope.kind}:{scope.value}" for scope in token.scopes],
        created=stamp(token.created_us),
        created_by=token.created_by,
        expires=None if token.expires_us is None else stamp(token.expires_us),
    )


def _entry(entry: AuditEntry) -> AuditRecord:
    return AuditRecord(stamp(entry.time_us), entry.by, entry.action, entry.target, entry.detail)


def _failure(one: Failure) -> FailureRecord:
    return FailureRecord(stamp(one.time_us), one.handler, one.error, one.message)
