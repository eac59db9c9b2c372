"""Rooms, asked of their owners."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from iot_system.domain import questions
from iot_system.domain.access import Scope
from iot_system.domain.questions import DesiredView, RoomView
from iot_system.domain.registry import Page, Room
from iot_system.errors import Conflict, NotFound, PreconditionFailed
from iot_system.ports.rooms import Rooms
from iot_system.services.asking import Asking

LABELS_KNOWN_FOR_S = 4.0
"""Nobody tells of changed labels; who may see a room is settled anew within 5 s, as with all other credentials."""
LABELS_LIMIT = 10_000


class ActorRooms:
    """Implements `iot_system.ports.rooms.Rooms`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def get(self, id_: str) -> RoomView:
        """See `iot_system.ports.rooms.Rooms.get`."""
        return await self._asking.ask_owner(id_, questions.GetRoom(id_), RoomView)

    async def page(self, *, limit: int, cursor: str | None, scopes: tuple[Scope, ...] = ()) -> Page:
        """See `iot_system.ports.rooms.Rooms.page`."""
        return await self._asking.ask_page(None, questions.ListRooms(limit, cursor, scopes), Room)

    async def put(self, room: Room, *, by: str) -> Room:
        """See `iot_system.ports.rooms.Rooms.put`."""
        return await self._asking.ask_owner(room.id, questions.PutRoom(room, by), Room)

    async def patch(self, id_: str, patch: dict[str, Any], *, by: str) -> Room:
        """See `iot_system.ports.rooms.Rooms.patch`."""
        return await self._asking.ask_owner(id_, questions.PatchRoom(id_, patch, by), Room)

    async def delete(self, id_: str, *, by: str) -> None:
        """See `iot_system.ports.rooms.Rooms.delete`."""
        await self._asking.ask_owner(id_, questions.DeleteRoom(id_, by), type(None))

    async def patch_desired(self, id_: str, patch: dict[str, Any], *, if_version: int | None, by: str) -> DesiredView:
        """See `iot_system.ports.rooms.Rooms.patch_desired`."""
        question = questions.PatchRoomDesired(id_, patch, if_version, by)
        with as_precondition(if_version):
            return await self._asking.ask_owner(id_, question, DesiredView)


class RoomLabels:
    """What an API pod knows of rooms' labels: kept for some seconds, so that not each event asks for a whole room."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._known: OrderedDict[str, tuple[float, asyncio.Task[Mapping[str, str] | None]]] = OrderedDict()

    async def get(self, id_: str) -> Mapping[str, str] | None:
        """The labels of a room; None where there is no such room. Raises `Unavailable` where nobody can tell."""
        now_s = asyncio.get_running_loop().time()
        until_s, asked = self._known.get(id_, (0.0, None))
        if asked is None or until_s < now_s or (asked.done() and (asked.cancelled() or asked.exception() is not None)):
            asked = asyncio.create_task(self._ask(id_))
            self._known[id_] = now_s + LABELS_KNOWN_FOR_S, asked
            self._known.move_to_end(id_)
            if len(self._known) > LABELS_LIMIT:
                self._known.popitem(last=False)
        return await asyncio.shield(asked)

    async def _ask(self, id_: str) -> Mapping[str, str] | None:
        try:
            return (await self._rooms.get(id_)).room.labels
        except NotFound:
            return None


@contextlib.contextmanager
def as_precondition(if_version: int | None) -> Iterator[None]:
    """A conflict is one of versions, where the caller named a version."""
    try:
        yield
    except Conflict as error:
        if if_version is None:
            raise
        raise PreconditionFailed(str(error)) from error
