"""A request as the handlers see it."""

from __future__ import annotations

from typing import Any

from litestar import Request

from iot_system.adapters.http.auth import gateway_of, principal_of
from iot_system.adapters.http.bodies import Form, form_of
from iot_system.adapters.http.strict import check_media_type, decode_strictly
from iot_system.domain.ids import check_id
from iot_system.ports.gateway import Gateway, Principal, resolve_me


class ApiRequest(Request[Any, Any, Any]):
    """Knows the gateway and the caller; its JSON body is decoded straight into what ``data`` is declared as.

    Properties rather than Litestar's dependencies, which cost a task group for each request.
    """

    @property
    def gateway(self) -> Gateway:
        return gateway_of(self)

    @property
    def principal(self) -> Principal:
        return principal_of(self)

    @property
    def form(self) -> Form:  # type: ignore[override]  # HTML forms have no place here
        """How the body is written. Raises a 415 for a media type that is not known."""
        return form_of(self.content_type[0])

    def device_id(self, named: str) -> str:
        """The device that a path means: ``named``, or the caller for ``me``. Raises `InvalidInput`."""
        return check_id(resolve_me(named, self.principal), field="device")

    @property
    def by(self) -> str:
        """Who is asking, for the audit: ``role:id``, for a device's id may be a person's too."""
        return f"{self.principal.role}:{self.principal.id}"

    async def json(self) -> Any:
        check_media_type(self.content_type[0])
        declared = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        return decode_strictly(await self.body(), declared)
