"""Commands: written with their device's commits, listed for those who wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import Literal

from iot_system.adapters.commands import CHANGING, COLUMNS, OPEN, SELECTED, command_of, cursor_of, place_of, row_of
from iot_system.adapters.registrations import json_text
from iot_system.domain.commands import Command, CommandStatus
from iot_system.domain.registry import Page

_WRITE = (
    f"insert into commands (device, {', '.join(COLUMNS)}) values (?{', ?' * len(COLUMNS)}) "  # noqa: S608
    f"on conflict (device, id) do update set {CHANGING}"
)
_FROM = f"select {SELECTED} from commands c join devices d on d.key = c.device"  # noqa: S608


def write_commands(connection: Connection, commands: Sequence[Command], devices: Mapping[str, int]) -> None:
    """``devices`` holds the keys of those that are registered; commands of others are left out."""
    connection.executemany(_WRITE, [(devices[one.device], *row_of(one)) for one in commands if one.device in devices])


def open_of(connection: Connection, devices: Sequence[str]) -> dict[str, list[Command]]:
    """Those that are not at their end, by device, in the order of their creation."""
    rows = connection.execute(
        f"{_FROM} where d.id in (select value from json_each(?)) and c.{OPEN} "  # noqa: S608
        "order by c.created_us, c.id",
        (json_text(devices),),
    )
    found: dict[str, list[Command]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(command_of(*row))
    return found


def find(connection: Connection, keys: Sequence[tuple[str, str]]) -> list[Command]:
    """See `iot_system.ports.store.Store.commands`."""
    rows = (connection.execute(f"{_FROM} where d.id = ? and c.id = ?", key).fetchone() for key in keys)
    return [command_of(*row) for row in rows if row]


def list_commands(
    connection: Connection,
    device: str,
    *,
    status: CommandStatus | Literal["pending"] | None,
    limit: int,
    cursor: str | None,
) -> Page:
    """See `iot_system.ports.store.Store.list_commands`."""
    after_us, after = place_of(cursor)
    sign, order = (">", "asc") if status == "pending" else ("<", "desc")
    which = f"c.{OPEN}" if status == "pending" else "(:status is null or c.status = :status)"
    rows = connection.execute(
        f"{_FROM} where c.device = (select key from devices where id = :device) "  # noqa: S608
        f"and (:after_us is null or (c.created_us, c.id) {sign} (:after_us, :after)) and {which} "
        f"order by c.created_us {order}, c.id {order} limit :limit",
        {"device": device, "after_us": after_us, "after": after, "status": status, "limit": limit + 1},
    )
    found = [command_of(*row) for row in rows]
    return Page(items=found[:limit], cursor=cursor_of(found[limit - 1]) if len(found) > limit else None)


def room_command(connection: Connection, room: str, id_: str) -> list[Command]:
    """See `iot_system.ports.store.Store.room_command`."""
    rows = connection.execute(f"{_FROM} where c.room = ? and c.id = ? order by d.id", (room, id_))
    return [command_of(*row) for row in rows]


def forget_commands(connection: Connection, *, before_us: int, limit: int) -> int:
    """Delete up to ``limit`` of those that ended earlier; returns how many there were."""
    return connection.execute(
        "delete from commands where (device, id) in (select device, id from commands "  # noqa: S608
        f"where updated_us < ? and not {OPEN} limit ?)",
        (before_us, limit),
    ).rowcount
