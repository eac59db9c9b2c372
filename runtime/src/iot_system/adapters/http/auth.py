"""Who is asking, and whether they may: bearer tokens, guards, and the word ``me``.

Guards are coroutines although most await nothing: Litestar would run plain functions in a thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias, cast

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import PathParameter

from iot_system.adapters.http.openapi import ID_SCHEMA
from iot_system.domain.access import Action
from iot_system.domain.certificates import ClientCertificate
from iot_system.domain.ids import ME, check_id, is_id
from iot_system.domain.merge import merge_patch
from iot_system.domain.permissions import (
    check_device_in_sight,
    check_registration,
    check_role,
    check_room_in_sight,
    check_unscoped,
    is_itself_or_gateway,
)
from iot_system.errors import Forbidden, NotFound, Unauthenticated
from iot_system.ports.gateway import Gateway, Principal

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
Guard: TypeAlias = Callable[[Connection, BaseRouteHandler], Awaitable[None]]
DevicePath: TypeAlias = Annotated[
    str, PathParameter(description="A device's id, or `me` for the caller's own.", schema_extra=ID_SCHEMA)
]


async def authenticated(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard: the request bears a valid token, whose `Principal` becomes its user, or comes with a device's certificate.

    Raises `Unauthenticated`.
    """
    gateway = gateway_of(connection)
    certificate: ClientCertificate | None = connection.scope["state"].get("certificate")
    header = connection.headers.get("authorization")
    if header is None and certificate is not None:
        connection.scope["user"] = await gateway.authenticate_certificate(certificate)
        return
    scheme, _, token = (header or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or not token.isascii():
        raise Unauthenticated("this needs the header 'Authorization: Bearer TOKEN'")
    client = connection.scope["client"]
    connection.scope["user"] = await gateway.authenticate(
        token, client=client[0] if client else "", certificate=certificate
    )


def needs(action: Action, *, unscoped: bool = False) -> Guard:
    """A guard for people and programs: their role allows ``action``, and no scope narrows it where ``unscoped``.

    For routes that name no device and no room. The guard raises `Forbidden`.
    """

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        principal = principal_of(connection)
        check_role(principal, action)
        if unscoped:
            check_unscoped(principal)

    return guard


def needs_for_device(action: Action) -> Guard:
    """A guard of routes that name a device: whose role allows ``action`` and whose scopes leave the device in sight.

    The guard raises `Forbidden` for the role, `NotFound` for a device out of sight.
    """

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        await _check_person(connection, action)

    return guard


def itself_or(action: Action) -> Guard:
    """A guard of routes that name a device: that device, its gateway device, or whom `needs_for_device` lets pass."""

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        principal = principal_of(connection)
        named = connection.path_params["device"]
        if principal.role != "device":
            await _check_person(connection, action)
        elif named not in (ME, principal.id):
            await _check_gateway_of(connection, named)

    return guard


def needs_for_room(action: Action) -> Guard:
    """A guard of routes that name a room, as `needs_for_device`; one that is not registered has no labels."""

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        principal = principal_of(connection)
        check_role(principal, action)
        named = check_id(connection.path_params["room"], field="room")
        if principal.sees(room=named, labels={}):
            return
        try:
            labels = (await gateway_of(connection).rooms.get(named)).room.labels
        except NotFound:
            labels = {}
        check_room_in_sight(principal, named, labels)

    return guard


async def sends(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard of telemetry of many devices: a device, or `Action.OPERATE`; `Gateway.ingest` says for which."""
    principal = principal_of(connection)
    if principal.role != "device":
        check_role(principal, Action.OPERATE)


async def check_stays_in_sight(connection: Connection, device: str, patch: dict[str, Any]) -> None:
    """Raises `Forbidden` where a merge patch would take a device out of the sight of who sends it."""
    principal = principal_of(connection)
    registered = await gateway_of(connection).registered(device) if principal.scopes else None
    if registered is not None:
        changed = merge_patch({"room": registered.room, "labels": registered.labels}, patch)
        check_registration(principal, room=changed.get("room"), labels=changed.get("labels") or {})


async def _check_person(connection: Connection, action: Action) -> None:
    principal = principal_of(connection)
    check_role(principal, action)
    if principal.scopes and (named := connection.path_params["device"]) != ME:
        device = await gateway_of(connection).registered(check_id(named, field="device"))
        check_device_in_sight(principal, named, device)


async def _check_gateway_of(connection: Connection, named: str) -> None:
    principal = principal_of(connection)
    device = await gateway_of(connection).registered(named) if is_id(named) else None
    if device is None or not is_itself_or_gateway(principal, device):
        raise Forbidden(
            f"device {principal.id!r} may only ask for itself and for devices that name it as their gateway, "
            f"not for {named[:140]!r}"
        )


def gateway_of(connection: Connection) -> Gateway:
    """The gateway that the application was made with."""
    return cast("Gateway", connection.app.state.gateway)


def principal_of(connection: Connection) -> Principal:
    """Who is asking; known once `authenticated` has passed."""
    return cast("Principal", connection.scope["user"])
