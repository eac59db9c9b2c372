"""Commands as the gateway offers them: to one device, and to all devices of a room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from iot_system.domain.access import Scope
from iot_system.domain.commands import Command, CommandStatus
from iot_system.domain.registry import Page
from iot_system.errors import IotError

WAIT_LIMIT_S = 60.0


class RoomCommand(msgspec.Struct, frozen=True):
    """What became of a room's command: ``commands`` by device, ``refused`` tells by device why it has none."""

    id: str
    commands: list[Command]
    refused: Mapping[str, IotError]


class NewCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What a command is to be, whoever it is for. Times count microseconds since 1970.

    ``is_fresh``: its id was made for it, so nobody has given it before.
    """

    id: str
    name: str
    payload: Any = None
    created_us: int
    expires_us: int
    by: str
    is_fresh: bool = False


class Commands(Protocol):
    """Raises `iot_system.errors`, each with one sentence for the client; ``wait_s`` is `WAIT_LIMIT_S` at most."""

    async def put(self, device: str, new: NewCommand) -> Command:
        """Give a device a command, once: the same id again is the same command, as it is now.

        Raises `Conflict` where a command of this id has another name or payload, `NotFound`, `Overloaded` where too
        many are open.
        """
        ...

    async def get(self, device: str, id_: str, *, wait_s: float = 0.0) -> Command:
        """The command, at its end or after ``wait_s``. Raises `NotFound`."""
        ...

    async def page(
        self,
        device: str,
        *,
        status: CommandStatus | Literal["pending"] | None,
        limit: int,
        cursor: str | None,
        wait_s: float = 0.0,
    ) -> Page:
        """Commands of a device, the newest first; those ``pending`` oldest first.

        Where there are none, waits up to ``wait_s`` for one. Raises `NotFound`.
        """
        ...

    async def take(self, device: str, *, wait_s: float = 0.0) -> list[Command]:
        """All open commands, which counts as their delivery; where there are none, waits up to ``wait_s`` for one."""
        ...

    async def cancel(self, device: str, id_: str, *, by: str) -> Command:
        """The command, cancelled unless it was at its end already. Raises `NotFound`."""
        ...

    async def put_in_room(self, room: str, new: NewCommand, *, scopes: tuple[Scope, ...] = ()) -> RoomCommand:
        """Give all devices of a room that ``scopes`` leave in sight the same command.

        Raises `NotFound` for a room that nothing is known of, `Conflict` for one without devices, `TooLarge` where
        the payload is too much for all of them together.
        """
        ...

    async def of_room(
        self, room: str, id_: str, *, wait_s: float = 0.0, scopes: tuple[Scope, ...] = ()
    ) -> list[Command]:
        """A room's command at each device that ``scopes`` leave in sight, all at their end or after ``wait_s``.

        Raises `NotFound`, also where there is none in sight.
        """
        ...
