"""Commands: written with their device's commits, listed for those who wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from iot_system.adapters.commands import CHANGING, COLUMNS, OPEN, SELECTED, command_of, cursor_of, place_of, row_of
from iot_system.adapters.postgres.database import Connection
from iot_system.domain.commands import Command, CommandStatus
from iot_system.domain.registry import Page

_PLACES = ", ".join(f"${number}" for number in range(2, 2 + len(COLUMNS)))
_WRITE = (
    f"insert into commands (device, {', '.join(COLUMNS)}) values ($1, {_PLACES}) "  # noqa: S608
    f"on conflict (device, id) do update set {CHANGING}"
)
_FROM = f"select {SELECTED} from commands c join devices d on d.key = c.device"  # noqa: S608


async def write_commands(connection: Connection, commands: Sequence[Command], devices: Mapping[str, int]) -> None:
    """``devices`` holds the keys of those that are registered; commands of others are left out."""
    await connection.executemany(
        _WRITE, [(devices[one.device], *row_of(one)) for one in commands if one.device in devices]
    )


async def open_of(connection: Connection, devices: Sequence[str]) -> dict[str, list[Command]]:
    """Those that are not at their end, by device, in the order of their creation."""
    rows = await connection.fetch(f"{_FROM} where d.id = any($1) and c.{OPEN} order by c.created_us, c.id", devices)
    found: dict[str, list[Command]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(command_of(*row))
    return found


async def find(connection: Connection, keys: Sequence[tuple[str, str]]) -> list[Command]:
    """See `iot_system.ports.store.Store.commands`."""
    rows = await connection.fetch(
        f"{_FROM} join unnest($1::text[], $2::text[]) k (device, id) on k.device = d.id and k.id = c.id",
        [device for device, _ in keys],
        [id_ for _, id_ in keys],
    )
    return [command_of(*row) for row in rows]


async def list_commands(
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
    which = f"c.{OPEN}" if status == "pending" else "($5::text is null or c.status = $5)"
    rows = await connection.fetch(
        f"{_FROM} where c.device = (select key from devices where id = $1) "  # noqa: S608
        f"and ($2::bigint is null or (c.created_us, c.id) {sign} ($2, $3)) and {which} "
        f"order by c.created_us {order}, c.id {order} limit $4",
        *(device, after_us, after, limit + 1),
        *(() if status == "pending" else (status,)),
    )
    found = [command_of(*row) for row in rows]
    return Page(items=found[:limit], cursor=cursor_of(found[limit - 1]) if len(found) > limit else None)


async def room_command(connection: Connection, room: str, id_: str) -> list[Command]:
    """See `iot_system.ports.store.Store.room_command`."""
    rows = await connection.fetch(f"{_FROM} where c.room = $1 and c.id = $2 order by d.id", room, id_)
    return [command_of(*row) for row in rows]


async def forget_commands(connection: Connection, *, before_us: int, limit: int) -> int:
    """Delete up to ``limit`` of those that ended earlier; returns how many there were."""
    gone = await connection.fetch(
        "delete from commands where (device, id) in (select device, id from commands "  # noqa: S608
        f"where updated_us < $1 and not {OPEN} limit $2) returning 1",
        before_us,
        limit,
    )
    return len(gone)
