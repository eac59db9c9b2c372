"""Rooms as the gateway offers them."""

from __future__ import annotations

from typing import Any, Protocol

from iot_system.domain.access import Scope
from iot_system.domain.questions import DesiredView, RoomView
from iot_system.domain.registry import Page, Room


class Rooms(Protocol):
    """Raises `iot_system.errors`, each with one sentence for the client; ``by`` is who changes it, for the audit."""

    async def get(self, id_: str) -> RoomView:
        """Raises `NotFound` where nothing was ever heard of the room."""
        ...

    async def page(self, *, limit: int, cursor: str | None, scopes: tuple[Scope, ...] = ()) -> Page:
        """Rooms by id, those that ``scopes`` leave in sight."""
        ...

    async def put(self, room: Room, *, by: str) -> Room:
        """Register a room or overwrite its registration."""
        ...

    async def patch(self, id_: str, patch: dict[str, Any], *, by: str) -> Room:
        """Change ``behaviour``, ``labels`` or ``stale_after_s`` by a merge patch (RFC 7396)."""
        ...

    async def delete(self, id_: str, *, by: str) -> None:
        """Forget a room. Raises `Conflict` while devices are registered in it."""
        ...

    async def patch_desired(self, id_: str, patch: dict[str, Any], *, if_version: int | None, by: str) -> DesiredView:
        """Merge ``patch`` into a room's desired state, and into that of its devices.

        Raises `PreconditionFailed` where ``if_version`` is given and is not the version now.
        """
        ...
