"""The REST application: every route of the interface over one gateway."""

from __future__ import annotations

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.types import ASGIApp, Receive, Scope, Send

from iot_system.adapters.http import auth, devices, history, problems, rooms, telemetry, twins
from iot_system.adapters.http.bodies import bounded
from iot_system.adapters.http.monitoring import monitoring_routes
from iot_system.adapters.http.observe import observed
from iot_system.adapters.http.openapi import openapi_config
from iot_system.adapters.http.parameters import no_unknown_parameters
from iot_system.adapters.http.requests import ApiRequest
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
            devices.revoke_credential,
            telemetry.send_telemetry,
            telemetry.send_bulk_telemetry,
            history.get_history,
            twins.get_device_twin,
            twins.explain_device_twin,
            rooms.list_rooms,
            rooms.get_room_twin,
        ],
        guards=[auth.authenticated, no_unknown_parameters],
    )
    app = Litestar(
        [interface, *monitoring_routes(health)],
        state=State({"gateway": gateway}),
        request_class=ApiRequest,
        request_max_body_size=None,  # bounded() below holds for every route
        exception_handlers={Exception: problems.on_exception},
        openapi_config=openapi_config(),
        logging_config=None,
    )
    app.asgi_handler = observed(bounded(app.asgi_handler))
    return app
