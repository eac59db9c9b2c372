"""Rooms, asked of their owners."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from iot_system.domain import questions
from iot_system.domain.access import Scope
from iot_system.domain.questions import DesiredView, RoomView
from iot_system.domain.registry import Page, Room
from iot_system.errors import Conflict, PreconditionFailed
from iot_system.services.asking import Asking


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


@contextlib.contextmanager
def as_precondition(if_version: int | None) -> Iterator[None]:
    """A conflict is one of versions, where the caller named a version."""
    try:
        yield
    except Conflict as error:
        if if_version is None:
            raise
        raise PreconditionFailed(str(error)) from error
