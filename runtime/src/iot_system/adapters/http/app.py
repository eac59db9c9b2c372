"""The REST application: every route of the interface over one gateway."""

from __future__ import annotations

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.types import ASGIApp, Receive, Scope, Send

from iot_system.adapters.http import (
    administration,
    auth,
    commands,
    devices,
    events,
    history,
    problems,
    room_commands,
    rooms,
    telemetry,
    twins,
)
from iot_system.adapters.http.bodies import bounded
from iot_system.adapters.http.monitoring import monitoring_routes
from iot_system.adapters.http.observe import observed
from iot_system.adapters.http.openapi import openapi_config
from iot_system.adapters.http.parameters import no_unknown_parameters
from iot_system.adapters.http.requests import ApiRequest
from iot_system.adapters.http.responses import Response
from iot_system.ports.gateway import Gateway
from iot_system.ports.health import Health

__all__ = ["ASGIApp", "Receive", "Scope", "Send", "create_app"]


def create_app(gateway: Gateway, health: Health) -> Litestar:
    """The ASGI application. It has no life cycle of its own: the gateway must be started already."""
    interface = Router(
        "/v1",
        route_handlers=[
            devices.create_device,
            devices.import_devices,
            devices.list_devices,
            devices.get_device,
            devices.patch_device,
            devices.delete_device,
            devices.issue_token,
            devices.list_credentials,
            devices.revoke_credential,
            telemetry.send_telemetry,
            telemetry.send_bulk_telemetry,
            history.get_history,
            twins.get_device_twin,
            twins.patch_desired,
            twins.explain_device_twin,
            commands.send_command,
            commands.list_commands,
            commands.get_command,
            commands.cancel_command,
            commands.answer_command,
            rooms.list_rooms,
            rooms.get_room,
            rooms.put_room,
            rooms.patch_room,
            rooms.delete_room,
            rooms.get_room_twin,
            rooms.patch_room_desired,
            room_commands.send_room_command,
            room_commands.get_room_command,
            events.listen,
            administration.issue_api_token,
            administration.list_api_tokens,
            administration.revoke_api_token,
            administration.list_audit,
            administration.list_failures,
            administration.list_room_failures,
        ],
        guards=[auth.authenticated, no_unknown_parameters],
    )
    app = Litestar(
        [interface, *monitoring_routes(health)],
        state=State({"gateway": gateway}),
        request_class=ApiRequest,
        response_class=Response,
        request_max_body_size=None,  # bounded() below holds for every route
        exception_handlers={Exception: problems.on_exception},
        openapi_config=openapi_config(),
        logging_config=None,
    )
    app.asgi_handler = observed(bounded(app.asgi_handler))
    return app
