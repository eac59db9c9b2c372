"""Who is asking, and whether they may: bearer tokens, guards, and the word ``me``.

Guards are coroutines although most await nothing: Litestar would run plain functions in a thread.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, cast

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import PathParameter

from iot_system.adapters.http.openapi import ID_SCHEMA
from iot_system.domain.ids import ME
from iot_system.errors import Forbidden, Unauthenticated
from iot_system.ports.gateway import Gateway, Principal

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
DevicePath: TypeAlias = Annotated[
    str, PathParameter(description="A device's id, or `me` for the caller's own.", schema_extra=ID_SCHEMA)
]


async def authenticated(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard: the request bears a valid token, whose `Principal` becomes its user. Raises `Unauthenticated`."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or not token.isascii():
        raise Unauthenticated("this needs the header 'Authorization: Bearer TOKEN'")
    connection.scope["user"] = await gateway_of(connection).authenticate(token)


async def admin_only(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard: the administrator. Raises `Forbidden`."""
    principal = principal_of(connection)
    if principal.role != "admin":
        raise Forbidden(f"device {principal.id!r} may not do this; it needs the administrator's token")


async def itself_or_admin(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard: the administrator, or the device that the path names. Raises `Forbidden`."""
    principal = principal_of(connection)
    named = connection.path_params["device"]
    if principal.role == "device" and named not in (ME, principal.id):
        raise Forbidden(f"device {principal.id!r} may only ask for itself, not for {named[:140]!r}")


def gateway_of(connection: Connection) -> Gateway:
    """The gateway that the application was made with."""
    return cast("Gateway", connection.app.state.gateway)


def principal_of(connection: Connection) -> Principal:
    """Who is asking; known once `authenticated` has passed."""
    return cast("Principal", connection.scope["user"])
