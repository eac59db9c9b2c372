"""Rooms: their list, and their twins."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.params import PathParameter
from msgspec import Meta

from iot_system.adapters.http import problems
from iot_system.adapters.http.auth import needs, needs_for_room
from iot_system.adapters.http.devices import Cursor, Limit
from iot_system.adapters.http.openapi import ID_SCHEMA
from iot_system.adapters.http.requests import ApiRequest
from iot_system.adapters.http.twins import LatestValue
from iot_system.domain.access import Action
from iot_system.domain.ids import check_id
from iot_system.domain.questions import RoomView
from iot_system.domain.readings import milliseconds
from iot_system.domain.twin import Aggregate

RoomInPath = Annotated[str, PathParameter(description="A room's id.", schema_extra=ID_SCHEMA)]


class RoomRecord(msgspec.Struct):
    """A room that devices belong to."""

    id: Annotated[str, Meta(examples=["office"])]


class RoomPage(msgspec.Struct):
    """Rooms by id; ``cursor`` continues the list, null at its end."""

    items: list[RoomRecord]
    cursor: str | None


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
    """A room's state; ``members`` tells when each device was last heard of, in milliseconds since 1970."""

    room: str
    members: dict[str, float]
    metrics: dict[str, MetricOfRoom]


@get(
    "/rooms",
    operation_id="listRooms",
    summary="List rooms",
    tags=["rooms"],
    guards=[needs(Action.READ)],
    responses=problems.documented(400, 401, 403, 429, 503),
)
async def list_rooms(request: ApiRequest, limit: Limit = 100, cursor: Cursor = None) -> RoomPage:
    """List rooms by id."""
    page = await request.gateway.list_rooms(limit=limit, cursor=cursor, scopes=request.principal.scopes)
    return RoomPage([RoomRecord(id_) for id_ in page.items], page.cursor)


@get(
    "/rooms/{room:str}/twin",
    operation_id="getRoomTwin",
    summary="Get a room's twin",
    tags=["rooms"],
    guards=[needs_for_room(Action.READ)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def get_room_twin(request: ApiRequest, room: RoomInPath) -> RoomTwin:
    """A room's members, and the aggregates of their readings."""
    return _twin(await request.gateway.room(check_id(room, field="room")))


def _twin(view: RoomView) -> RoomTwin:
    return RoomTwin(
        room=view.id,
        members={device: milliseconds(seen_us) for device, seen_us in view.state.members.items()},
        metrics={metric: _metric(one) for metric, one in view.state.metrics.items()},
    )


def _metric(aggregate: Aggregate) -> MetricOfRoom:
    last = LastOfRoom(milliseconds(aggregate.last.time_us), aggregate.last.value, aggregate.device)
    return MetricOfRoom(last, aggregate.min, aggregate.max, aggregate.avg, aggregate.count)
