"""Rooms: their registry, and their twins."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import delete, get, patch, put
from litestar.params import JSONBody, PathParameter
from msgspec import UNSET, Meta, UnsetType

from iot_system.adapters.http import problems
from iot_system.adapters.http.auth import needs, needs_for_room
from iot_system.adapters.http.devices import Behaviour, Cursor, Limit, Milliseconds
from iot_system.adapters.http.openapi import ID_SCHEMA
from iot_system.adapters.http.preconditions import IfMatch, etag, version_of
from iot_system.adapters.http.requests import ApiRequest
from iot_system.adapters.http.responses import Response
from iot_system.adapters.http.twins import DesiredState, LatestValue
from iot_system.domain.access import Action, Scope
from iot_system.domain.ids import check_id
from iot_system.domain.questions import RoomView
from iot_system.domain.readings import milliseconds, stamp
from iot_system.domain.registry import DEFAULT_ROOM_BEHAVIOUR, STALE_AFTER_S, Room, check_labels
from iot_system.domain.twin import Aggregate
from iot_system.errors import Forbidden, InvalidInput

MEMBERS_AT_ONCE = 1000
RoomInPath = Annotated[str, PathParameter(description="A room's id.", schema_extra=ID_SCHEMA)]
StaleAfterS = Annotated[
    float, Meta(gt=0, le=366 * 86_400, description="A member that was not heard of for so long is stale.")
]


class RoomBody(msgspec.Struct, forbid_unknown_fields=True):
    """A room's registration."""

    behaviour: Behaviour = DEFAULT_ROOM_BEHAVIOUR
    labels: Annotated[dict[str, str], Meta(examples=[{"floor": "2"}])] = {}
    stale_after_s: StaleAfterS = STALE_AFTER_S


class RoomPatch(msgspec.Struct, forbid_unknown_fields=True):
    """A merge patch (RFC 7396): null removes a label."""

    behaviour: Behaviour | UnsetType = UNSET
    labels: Annotated[dict[str, str | None], Meta(examples=[{"floor": None}])] | UnsetType = UNSET
    stale_after_s: StaleAfterS | UnsetType = UNSET


class RoomRecord(msgspec.Struct):
    """A room. One that nobody registered, but that devices belong to, has ``created`` 0."""

    id: Annotated[str, Meta(examples=["office"])]
    behaviour: str
    labels: dict[str, str]
    stale_after_s: float
    created: Milliseconds
    updated: Milliseconds


class RoomPage(msgspec.Struct):
    """Rooms by id; ``cursor`` continues the list, null at its end."""

    items: list[RoomRecord]
    cursor: str | None


class Member(msgspec.Struct):
    """A device of a room; ``last_seen`` is null before its first message to it."""

    last_seen: Milliseconds | None
    stale: bool


class LastOfRoom(LatestValue):
    """The newest value of a metric in a room, and whose it is."""

    device: str


class MetricOfRoom(msgspec.Struct):
    """One metric over all readings of the room; min, max and avg are of its numbers, null where it has none."""

    last: LastOfRoom
    min: float | None
    max: float | None
    avg: float | None
    count: int


class RoomTwin(msgspec.Struct):
    """A room's state: its members, the aggregates of their readings, its own desired state and the version of that."""

    room: str
    members: dict[str, Member]
    metrics: dict[str, MetricOfRoom]
    desired: dict[str, Any]
    version: int


@get(
    "/rooms",
    operation_id="listRooms",
    summary="List rooms",
    tags=["rooms"],
    guards=[needs(Action.READ)],
    responses=problems.documented(400, 401, 403, 429, 503),
)
async def list_rooms(request: ApiRequest, limit: Limit = 100, cursor: Cursor = None) -> RoomPage:
    """List rooms by id: those registered, and those that were heard of."""
    page = await request.gateway.rooms.page(limit=limit, cursor=cursor, scopes=request.principal.scopes)
    return RoomPage([_record(room) for room in page.items], page.cursor)


@get(
    "/rooms/{room:str}",
    operation_id="getRoom",
    summary="Get a room",
    tags=["rooms"],
    guards=[needs_for_room(Action.READ)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def get_room(request: ApiRequest, room: RoomInPath) -> RoomRecord:
    """A room's registration."""
    return _record((await request.gateway.rooms.get(check_id(room, field="room"))).room)


@put(
    "/rooms/{room:str}",
    operation_id="putRoom",
    summary="Register a room",
    tags=["rooms"],
    guards=[needs_for_room(Action.OPERATE)],
    responses=problems.documented(400, 401, 403, 404, 413, 415, 429, 503),
)
async def put_room(request: ApiRequest, room: RoomInPath, data: JSONBody[RoomBody]) -> RoomRecord:
    """Register a room, or overwrite its registration."""
    _check(data)
    now_us = request.gateway.now_us()
    new = Room(
        id=check_id(room, field="room"),
        behaviour=data.behaviour,
        labels=data.labels,
        stale_after_s=data.stale_after_s,
        created_us=now_us,
        updated_us=now_us,
    )
    return _record(await request.gateway.rooms.put(new, by=request.by))


@patch(
    "/rooms/{room:str}",
    operation_id="patchRoom",
    summary="Change a room",
    tags=["rooms"],
    guards=[needs_for_room(Action.OPERATE)],
    responses=problems.documented(400, 401, 403, 404, 409, 413, 415, 429, 503),
)
async def patch_room(request: ApiRequest, room: RoomInPath, data: JSONBody[RoomPatch]) -> RoomRecord:
    """Change a room's registration by a merge patch."""
    _check(data)
    changes: dict[str, Any] = msgspec.to_builtins(data)
    return _record(await request.gateway.rooms.patch(check_id(room, field="room"), changes, by=request.by))


@delete(
    "/rooms/{room:str}",
    operation_id="deleteRoom",
    summary="Forget a room",
    tags=["rooms"],
    guards=[needs_for_room(Action.OPERATE)],
    responses=problems.documented(400, 401, 403, 404, 409, 429, 503),
)
async def delete_room(request: ApiRequest, room: RoomInPath) -> None:
    """Forget a room with its twin. One that devices are registered in stays."""
    await request.gateway.rooms.delete(check_id(room, field="room"), by=request.by)


@get(
    "/rooms/{room:str}/twin",
    operation_id="getRoomTwin",
    summary="Get a room's twin",
    tags=["rooms"],
    guards=[needs_for_room(Action.READ)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def get_room_twin(request: ApiRequest, room: RoomInPath) -> Response[RoomTwin]:
    """A room's members, the aggregates of their readings, and its desired state, whose version is the `ETag`."""
    view = await request.gateway.rooms.get(check_id(room, field="room"))
    return Response(_twin(view, now_us=request.gateway.now_us()), headers=etag(view.state.desired_version))


@patch(
    "/rooms/{room:str}/twin/desired",
    operation_id="patchRoomDesired",
    summary="Change a room's desired state",
    tags=["rooms"],
    guards=[needs_for_room(Action.OPERATE)],
    responses=problems.documented(400, 401, 403, 404, 409, 412, 413, 415, 429, 503),
)
async def patch_room_desired(
    request: ApiRequest, room: RoomInPath, data: JSONBody[dict[str, Any]], if_match: IfMatch = None
) -> Response[DesiredState]:
    """Merge a patch (RFC 7396) into a room's desired state, and into that of all its devices.

    Who may not see one of them may not change it by way of its room either.
    """
    room_id = check_id(room, field="room")
    await _check_members(request, room_id)
    view = await request.gateway.rooms.patch_desired(room_id, data, if_version=version_of(if_match), by=request.by)
    return Response(DesiredState(view.desired, view.version), headers=etag(view.version))


async def _check_members(request: ApiRequest, room: str) -> None:
    """Raises `Forbidden` where a device of the room is out of sight."""
    principal = request.principal
    if not principal.scopes or Scope("room", room) in principal.scopes:
        return
    cursor: str | None = None
    while True:
        page = await request.gateway.list_devices(room=room, label=None, limit=MEMBERS_AT_ONCE, cursor=cursor)
        if not all(principal.sees(room=device.room, labels=device.labels) for device in page.items):
            raise Forbidden(f"room {room!r} has devices out of your scopes, which its desired state would change, too")
        if (cursor := page.cursor) is None:
            return


def _check(room: RoomBody | RoomPatch) -> None:
    """What a schema cannot say. Raises `InvalidInput`."""
    if isinstance(room.behaviour, str) and not room.behaviour.isprintable():
        raise InvalidInput(f"behaviour {room.behaviour!r} has a character that cannot be printed")
    if isinstance(room.labels, dict):
        check_labels(room.labels)


def _record(room: Room) -> RoomRecord:
    return RoomRecord(
        id=room.id,
        behaviour=room.behaviour,
        labels=room.labels,
        stale_after_s=room.stale_after_s,
        created=stamp(room.created_us),
        updated=stamp(room.updated_us),
    )


def _twin(view: RoomView, *, now_us: int) -> RoomTwin:
    stale_since_us = now_us - view.room.stale_after_s * 1e6
    return RoomTwin(
        room=view.id,
        members={
            device: Member(milliseconds(seen_us) if seen_us else None, seen_us < stale_since_us)
            for device, seen_us in view.state.members.items()
        },
        metrics={metric: _metric(one) for metric, one in view.state.metrics.items()},
        desired=view.state.desired,
        version=view.state.desired_version,
    )


def _metric(aggregate: Aggregate) -> MetricOfRoom:
    last = LastOfRoom(milliseconds(aggregate.last.time_us), aggregate.last.value, aggregate.device)
    return MetricOfRoom(last, aggregate.min, aggregate.max, aggregate.avg, aggregate.count)
