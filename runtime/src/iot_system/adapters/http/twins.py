"""Twins of devices: what they say of themselves, what is wanted of them, and who owns their actor."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get
from msgspec import Meta

from iot_system.adapters.http import problems
from iot_system.adapters.http.auth import DevicePath, itself_or, needs_for_device
from iot_system.adapters.http.requests import ApiRequest
from iot_system.domain.access import Action
from iot_system.domain.questions import DeviceView
from iot_system.domain.readings import milliseconds

_PROBLEMS = problems.documented(400, 401, 403, 404, 429, 503)


class LatestValue(msgspec.Struct):
    """The newest value of a metric by its own timestamp, in milliseconds since 1970."""

    ts: float
    value: Any


class Versions(msgspec.Struct):
    """Each grows with every change of its part."""

    reported: Annotated[int, Meta(examples=[3])]
    desired: Annotated[int, Meta(examples=[1])]


class DeviceTwin(msgspec.Struct):
    """A device's state. ``last_seen`` is in milliseconds since 1970, null before the first message."""

    device: str
    room: str | None
    reported: dict[str, Any]
    desired: dict[str, Any]
    version: Versions
    last_seen: float | None
    latest: dict[str, LatestValue]


class Ownership(msgspec.Struct):
    """Who owns a device's actor: ``applied`` is the stream sequence of the last committed frame, ``lag`` what waits."""

    device: str
    partition: int
    shard: str
    node: str
    epoch: int
    applied: int
    lag: int
    last_error: str | None


@get(
    "/devices/{device:str}/twin",
    operation_id="getDeviceTwin",
    summary="Get a device's twin",
    tags=["twins"],
    guards=[itself_or(Action.READ)],
    responses=_PROBLEMS,
)
async def get_device_twin(request: ApiRequest, device: DevicePath) -> Response[DeviceTwin]:
    """A device's twin. The `ETag` is the version of the desired state."""
    view = await request.gateway.device(request.device_id(device))
    return Response(_twin(view), headers={"ETag": f'"{view.state.desired_version}"'})


@get(
    "/devices/{device:str}/twin:explain",
    operation_id="explainDeviceTwin",
    summary="Explain who owns a device",
    tags=["twins"],
    guards=[needs_for_device(Action.ADMINISTER)],
    responses=_PROBLEMS,
)
async def explain_device_twin(request: ApiRequest, device: DevicePath) -> Ownership:
    """Who owns the device's actor now, and how far it is."""
    device_id = request.device_id(device)
    found = await request.gateway.explain(device_id)
    return Ownership(device_id, **msgspec.structs.asdict(found))


def _twin(view: DeviceView) -> DeviceTwin:
    device, state = view.device, view.state
    return DeviceTwin(
        device=device.id,
        room=device.room,
        reported=state.reported,
        desired=state.desired,
        version=Versions(state.reported_version, state.desired_version),
        last_seen=milliseconds(state.last_seen_us) if state.last_seen_us else None,
        latest={metric: LatestValue(milliseconds(one.time_us), one.value) for metric, one in state.latest.items()},
    )
