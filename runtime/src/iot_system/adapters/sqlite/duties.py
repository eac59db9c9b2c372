"""What a new owner of a partition begins with: when its actors are due, and which of its devices are connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sqlite3 import Connection

from iot_system.domain.addresses import Address


def timers_of(connection: Connection, partition: int) -> dict[Address, int]:
    """Actor → when it is due."""
    rows = connection.execute("select kind, id, due_us from timers where partition = ?", (partition,))
    return {Address(kind, id_): due_us for kind, id_, due_us in rows}


def connections_of(connection: Connection, partition: int) -> dict[str, list[str]]:
    """Gateway → devices."""
    found: dict[str, list[str]] = {}
    for gateway, device in connection.execute(
        "select c.gateway, d.id from connections c join devices d on d.key = c.device where c.partition = ? "
        "order by d.id",
        (partition,),
    ):
        found.setdefault(gateway, []).append(device)
    return found


def write_timers(connection: Connection, timers: Sequence[tuple[int, Address, int | None]]) -> None:
    """Partition, actor, and when it is due; None: not any more."""
    connection.executemany(
        "insert into timers values (?, ?, ?, ?) on conflict do update set due_us = excluded.due_us",
        [(number, actor.kind, actor.id, due_us) for number, actor, due_us in timers if due_us is not None],
    )
    connection.executemany(
        "delete from timers where partition = ? and kind = ? and id = ?",
        [(number, actor.kind, actor.id) for number, actor, due_us in timers if due_us is None],
    )


def write_connections(
    connection: Connection, connections: Sequence[tuple[int, str, str | None]], devices: Mapping[str, int]
) -> None:
    """Partition, device, and its gateway; None: not connected any more. ``devices`` as for commands."""
    registered = [(devices[device], number, gateway) for number, device, gateway in connections if device in devices]
    connection.executemany(
        "insert into connections values (?, ?, ?) on conflict (device) do update set partition = excluded.partition, "
        "gateway = excluded.gateway",
        [row for row in registered if row[2] is not None],
    )
    connection.executemany(
        "delete from connections where device = ?", [(device,) for device, _, gateway in registered if gateway is None]
    )
