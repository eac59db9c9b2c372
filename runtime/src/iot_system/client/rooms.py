"""Rooms: their registration, their twins, and commands to all of their devices."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from iot_system.client.commands import WAIT_LIMIT_S, body_of
from iot_system.client.records import Desired, Room, RoomCommand, RoomTwin
from iot_system.client.rest import Rest, segment
from iot_system.client.twins import desire

PAGE_SIZE = 1_000


class Rooms:
    """``IotClient.rooms``."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def put(self, room: str, registration: Mapping[str, Any] | None = None) -> Room:
        """Register a room, or overwrite its registration: ``behaviour``, ``labels``, ``stale_after_s``."""
        return await self._rest.send("PUT", _path(room), registration or {}, Room)

    async def get(self, room: str) -> Room:
        """Raises `NotFound`."""
        return await self._rest.get(_path(room), Room)

    def list(self) -> AsyncIterator[Room]:
        """Rooms by id: those registered, and those that devices belong to."""
        return self._rest.items("/v1/rooms", Room, {"limit": PAGE_SIZE})

    async def patch(self, room: str, changes: Mapping[str, Any]) -> Room:
        """Change a registration by a merge patch (RFC 7396). Raises `NotFound`."""
        return await self._rest.send("PATCH", _path(room), changes, Room)

    async def delete(self, room: str) -> None:
        """Forget a room. Raises `Conflict` while devices are registered in it."""
        await self._rest.delete(_path(room))

    async def twin(self, room: str) -> RoomTwin:
        """Raises `NotFound` where nothing was ever heard of the room."""
        return await self._rest.get(f"{_path(room)}/twin", RoomTwin)

    async def desire(self, room: str, patch: Mapping[str, Any], *, if_version: int | None = None) -> Desired:
        """Merge ``patch`` into the desired state of the room and of all its devices.

        Raises `PreconditionFailed` where its version is another than ``if_version``; then nothing is changed.
        """
        return await desire(self._rest, f"{_path(room)}/twin/desired", patch, if_version)

    async def command(
        self,
        room: str,
        name: str,
        payload: Any = None,
        *,
        timeout_s: float | None = None,
        id_: str | None = None,
        wait_s: float = 0.0,
    ) -> RoomCommand:
        """Give every device of a room the same command; with ``wait_s`` wait so long for all of their ends.

        Raises `NotFound`, and `Conflict` for a room without devices.
        """
        body = body_of(name, payload, timeout_s=timeout_s, id_=id_)
        given = await self._rest.send("POST", f"{_path(room)}/commands", body, RoomCommand)
        if not wait_s:
            return given
        found = await self.wait(room, given.id, wait_s=wait_s)
        return msgspec.structs.replace(given, commands=found.commands)

    async def wait(self, room: str, command: str, *, wait_s: float = 0.0) -> RoomCommand:
        """A room's command at each device, all at their end or as they are after ``wait_s``. Raises `NotFound`."""
        path = f"{_path(room)}/commands/{segment(command)}"
        deadline_s = time.monotonic() + wait_s
        while True:
            left_s = min(max(deadline_s - time.monotonic(), 0.0), WAIT_LIMIT_S)
            found = await self._rest.get(path, RoomCommand, {"wait_s": round(left_s, 3)}, wait_s=left_s)
            if not any(one.is_open for one in found.commands) or time.monotonic() >= deadline_s:
                return found


def _path(room: str) -> str:
    return f"/v1/rooms/{segment(room)}"
