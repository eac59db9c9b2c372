"""Rooms' twins as messages, as they are at a subscription."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from iot_system.adapters.mqtt.broker.tree import matches
from iot_system.adapters.mqtt.event_topics import ROOM_TWINS
from iot_system.adapters.mqtt.topics import overlap
from iot_system.domain.ids import is_id
from iot_system.domain.questions import RoomView
from iot_system.domain.readings import milliseconds
from iot_system.domain.registry import Room
from iot_system.errors import NotFound
from iot_system.ports.gateway import Principal
from iot_system.ports.rooms import Rooms

_PAGE = 100
_encode = msgspec.json.Encoder().encode


async def twins(rooms: Rooms, principal: Principal, filter_: str, *, now_us: int) -> AsyncIterator[tuple[str, bytes]]:
    """Topic and payload of each room's twin that ``filter_`` matches and ``principal`` may see. Raises `Retry`."""
    if not overlap(filter_, ROOM_TWINS):
        return
    name = filter_.split("/")[2] if filter_.count("/") >= 2 else "+"
    if is_id(name):
        for found in await _view(rooms, principal, name):
            yield _topic(name), _payload(found, now_us)
        return
    cursor: str | None = None
    while True:
        page = await rooms.page(limit=_PAGE, cursor=cursor, scopes=principal.scopes)
        for room in page.items:
            assert isinstance(room, Room)
            if matches(filter_, _topic(room.id)):
                for found in await _view(rooms, principal, room.id):
                    yield _topic(room.id), _payload(found, now_us)
        if (cursor := page.cursor) is None:
            return


async def _view(rooms: Rooms, principal: Principal, id_: str) -> list[RoomView]:
    """None, where there is no such room in sight."""
    try:
        view = await rooms.get(id_)
    except NotFound:
        return []
    return [view] if principal.sees(room=id_, labels=view.room.labels) else []


def _topic(room: str) -> str:
    return f"v1/rooms/{room}/twin"


def _payload(view: RoomView, now_us: int) -> bytes:
    """As REST has it."""
    stale_since_us = now_us - view.room.stale_after_s * 1e6
    members = {
        device: {"last_seen": milliseconds(seen_us) if seen_us else None, "stale": seen_us < stale_since_us}
        for device, seen_us in view.state.members.items()
    }
    metrics = {
        metric: {
            "last": {"ts": milliseconds(one.last.time_us), "value": one.last.value, "device": one.device},
            "min": one.min,
            "max": one.max,
            "avg": one.avg,
            "count": one.count,
        }
        for metric, one in view.state.metrics.items()
    }
    return _encode(
        {
            "room": view.id,
            "members": members,
            "metrics": metrics,
            "desired": view.state.desired,
            "version": view.state.desired_version,
        }
    )
