"""Who is asking, and whether they may: bearer tokens, guards, and the word ``me``."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from litestar.connection import ASGIConnection, Request
from litestar.handlers import BaseRouteHandler
from litestar.params import Dependency, Parameter

from iot_system.adapters.http.openapi import ID_PATTERN
from iot_system.domain.ids import ID_LENGTH_LIMIT, check_id
from iot_system.errors import Forbidden, InvalidInput, Unauthenticated
from iot_system.ports.gateway import Gateway, Principal

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
ME = "me"

TheGateway: TypeAlias = Annotated[Gateway, Dependency(skip_validation=True)]
Caller: TypeAlias = Annotated[Principal, Dependency(skip_validation=True)]
DeviceId: TypeAlias = Annotated[str, Dependency(skip_validation=True)]
"""The device that a path means: a valid id, ``me`` replaced by the caller's own."""


async def authenticated(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard: the request bears a valid token. Raises `Unauthenticated`."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("this needs the header 'Authorization: Bearer TOKEN'")
    gateway: Gateway = connection.app.state.gateway
    connection.state.principal = await gateway.authenticate(token)


def admin_only(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard: the administrator. Raises `Forbidden`."""
    principal: Principal = connection.state.principal
    if principal.role != "admin":
        raise Forbidden(f"device {principal.id!r} may not do this; it needs the administrator's token")


def itself_or_admin(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard: the administrator, or the device that the path names. Raises `Forbidden`."""
    principal: Principal = connection.state.principal
    named = connection.path_params["device"]
    if principal.role == "device" and named not in (ME, principal.id):
        raise Forbidden(f"device {principal.id!r} may only ask for itself, not for {named[:140]!r}")


def provide_gateway(request: Request[Any, Any, Any]) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


def provide_principal(request: Request[Any, Any, Any]) -> Principal:
    principal: Principal = request.state.principal
    return principal


def provide_device_id(
    request: Request[Any, Any, Any],
    device: Annotated[
        str,
        Parameter(
            description="A device's id, or `me` for the caller's own.",
            schema_extra={"pattern": ID_PATTERN, "max_length": ID_LENGTH_LIMIT},
        ),
    ],
) -> str:
    """Raises `InvalidInput` where the path names no valid id."""
    return resolve_me(device, request.state.principal, field="device")


def resolve_me(named: str, principal: Principal, *, field: str) -> str:
    """Return the device id that ``named`` means. Raises `InvalidInput`."""
    if named != ME:
        return check_id(named, field=field)
    if principal.role != "device":
        raise InvalidInput(f"{field} 'me' stands for a device's own id, and this token is not a device's")
    return principal.id
