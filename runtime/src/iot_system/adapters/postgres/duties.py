"""What a new owner of a partition begins with: when its actors are due, and which of its devices are connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iot_system.adapters.postgres.database import Connection
from iot_system.domain.addresses import Address


async def timers_of(connection: Connection, partitions: Sequence[int]) -> dict[int, dict[Address, int]]:
    """By partition."""
    found: dict[int, dict[Address, int]] = {number: {} for number in partitions}
    for number, kind, id_, due_us in await connection.fetch(
        "select partition, kind, id, due_us from timers where partition = any($1)", partitions
    ):
        found[number][Address(kind, id_)] = due_us
    return found


async def connections_of(connection: Connection, partitions: Sequence[int]) -> dict[int, dict[str, list[str]]]:
    """Gateway → devices, by partition."""
    found: dict[int, dict[str, list[str]]] = {number: {} for number in partitions}
    for number, gateway, device in await connection.fetch(
        "select c.partition, c.gateway, d.id from connections c join devices d on d.key = c.device "
        "where c.partition = any($1) order by d.id",
        partitions,
    ):
        found[number].setdefault(gateway, []).append(device)
    return found


async def write_timers(connection: Connection, timers: Sequence[tuple[int, Address, int | None]]) -> None:
    """Partition, actor, and when it is due; None: not any more."""
    if set_ := [(number, actor.kind, actor.id, due_us) for number, actor, due_us in timers if due_us is not None]:
        await connection.execute(
            "insert into timers select * from unnest($1::integer[], $2::text[], $3::text[], $4::bigint[]) "
            "on conflict (partition, kind, id) do update set due_us = excluded.due_us",
            *_columns(set_),
        )
    if unset := [(number, actor.kind, actor.id) for number, actor, due_us in timers if due_us is None]:
        await connection.execute(
            "delete from timers t using unnest($1::integer[], $2::text[], $3::text[]) a (partition, kind, id) "
            "where t.partition = a.partition and t.kind = a.kind and t.id = a.id",
            *_columns(unset),
        )


async def write_connections(
    connection: Connection, connections: Sequence[tuple[int, str, str | None]], devices: Mapping[str, int]
) -> None:
    """Partition, device, and its gateway; None: not connected any more. ``devices`` as for commands."""
    registered = [(devices[device], number, gateway) for number, device, gateway in connections if device in devices]
    if joined := [row for row in registered if row[2] is not None]:
        await connection.execute(
            "insert into connections select * from unnest($1::integer[], $2::integer[], $3::text[]) "
            "on conflict (device) do update set partition = excluded.partition, gateway = excluded.gateway",
            *_columns(joined),
        )
    if left := [device for device, _, gateway in registered if gateway is None]:
        await connection.execute("delete from connections where device = any($1)", left)


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
