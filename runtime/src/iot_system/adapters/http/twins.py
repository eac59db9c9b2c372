"""Twins of devices: what they say of themselves, what is wanted of them, and who owns their actor."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get, patch
from litestar.params import JSONBody
from msgspec import Meta

from iot_system.adapters.http import problems
from iot_system.adapters.http.auth import DevicePath, itself_or, needs_for_device
from iot_system.adapters.http.devices import Milliseconds
from iot_system.adapters.http.preconditions import IfMatch, etag, version_of
from iot_system.adapters.http.requests import ApiRequest
from iot_system.adapters.http.responses import Response
from iot_system.domain.access import Action
from iot_system.domain.questions import DeviceView
from iot_system.domain.readings import milliseconds, stamp

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
    """A device's state.

    ``last_seen`` is the newest time that is known of the device: that of a reading (its own ``ts`` where it bears one),
    or when something else of it arrived, a connection, reported state or an answer; null before the first. ``left`` and
    ``left_reason`` tell of the end of its last connection.
    ``delivered`` is the version of the desired state that the device has confirmed.
    """

    device: str
    room: str | None
    reported: dict[str, Any]
    desired: dict[str, Any]
    version: Versions
    delivered: Annotated[int, Meta(examples=[1])]
    connected: bool
    last_seen: Milliseconds | None
    left: Milliseconds | None
    left_reason: str | None
    latest: dict[str, LatestValue]


class DesiredState(msgspec.Struct):
    """Desired state as it is now."""

    desired: dict[str, Any]
    version: Annotated[int, Meta(examples=[2])]


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
    return Response(_twin(view), headers=etag(view.state.desired_version))


@patch(
    "/devices/{device:str}/twin/desired",
    operation_id="patchDesired",
    summary="Change a device's desired state",
    tags=["twins"],
    guards=[needs_for_device(Action.OPERATE)],
    responses=problems.documented(400, 401, 403, 404, 409, 412, 413, 415, 429, 503),
)
async def patch_desired(
    request: ApiRequest, device: DevicePath, data: JSONBody[dict[str, Any]], if_match: IfMatch = None
) -> Response[DesiredState]:
    """Merge a patch (RFC 7396) into the desired state: null removes a member, objects merge, all else replaces."""
    view = await request.gateway.patch_desired(
        request.device_id(device), data, if_version=version_of(if_match), by=request.by
    )
    return Response(DesiredState(view.desired, view.version), headers=etag(view.version))


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
        delivered=state.desired_delivered,
        connected=state.connection is not None,
        last_seen=milliseconds(state.last_seen_us) if state.last_seen_us else None,
        left=stamp(state.left_us) if state.left_us else None,
        left_reason=state.left_reason,
        latest={metric: LatestValue(milliseconds(one.time_us), one.value) for metric, one in state.latest.items()},
    )
