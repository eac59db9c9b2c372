"""Registered devices and their states."""

from __future__ import annotations

from collections.abc import Sequence

from iot_system.adapters.blobs import decode_device_state
from iot_system.adapters.postgres.commands import open_of
from iot_system.adapters.postgres.database import Connection
from iot_system.adapters.registrations import DEVICE, device_of, json_text, scoped
from iot_system.domain.access import Scope
from iot_system.domain.commands import Command
from iot_system.domain.registry import Device, Page
from iot_system.domain.twin import DeviceState


async def load_devices(
    connection: Connection, ids: Sequence[str]
) -> dict[str, tuple[Device, DeviceState, list[Command]]]:
    """See `iot_system.ports.store.Store.load_devices`."""
    rows = await connection.fetch(
        f"select {DEVICE}, s.state from devices d left join device_states s on s.device = d.key "  # noqa: S608
        "where d.id = any($1)",
        ids,
    )
    commands = await open_of(connection, [row[0] for row in rows])
    return {
        row[0]: (
            device_of(*row[:-1]),
            decode_device_state(row[-1]) if row[-1] else DeviceState(),
            commands.get(row[0], []),
        )
        for row in rows
    }


async def write_devices(connection: Connection, devices: Sequence[Device]) -> None:
    """Register, or overwrite registrations; each id once."""
    await connection.execute(
        "insert into devices (id, room, behaviour, labels, enabled, gateway, created_us, updated_us) "
        "select * from unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::boolean[], $6::text[], "
        "$7::bigint[], $8::bigint[]) on conflict (id) do update set room = excluded.room, "
        "behaviour = excluded.behaviour, labels = excluded.labels, enabled = excluded.enabled, "
        "gateway = excluded.gateway, created_us = excluded.created_us, updated_us = excluded.updated_us",
        [device.id for device in devices],
        [device.room for device in devices],
        [device.behaviour for device in devices],
        [json_text(device.labels) for device in devices],
        [device.enabled for device in devices],
        [device.gateway for device in devices],
        [device.created_us for device in devices],
        [device.updated_us for device in devices],
    )


async def remove_devices(connection: Connection, ids: Sequence[str]) -> None:
    """With all that refers to them; the history is out of reach, and goes with `purge`."""
    await connection.execute(
        "with gone as (delete from devices where id = any($1) returning key) "
        "insert into removed_devices select key from gone",
        ids,
    )


async def purge(connection: Connection, stretches: Sequence[tuple[int, int]]) -> None:
    """Take the history of deleted devices off the disk: by stretches of time, so that no statement takes long."""
    keys = [row[0] for row in await connection.fetch("select key from removed_devices")]
    if keys:
        for first_us, end_us in stretches:
            # Bounds in the text of the statement: it is planned for the one partition that they leave.
            await connection.execute(
                f"delete from history where time_us >= {first_us} and time_us < {end_us} and device = any($1)",  # noqa: S608
                keys,
            )
        await connection.execute("delete from history_rest where device = any($1)", keys)
        await connection.execute("delete from removed_devices where key = any($1)", keys)


async def list_devices(
    connection: Connection,
    *,
    room: str | None,
    label: str | None,
    limit: int,
    cursor: str | None,
    scopes: Sequence[Scope],
) -> Page:
    """See `iot_system.ports.store.Store.list_devices`."""
    rooms, labels = scoped(scopes)
    rows = await connection.fetch(
        f"select {DEVICE} from devices d where ($1::text is null or d.id > $1) "  # noqa: S608
        "and ($2::text is null or d.room = $2) and ($3::jsonb is null or d.labels @> $3) "
        "and ($4 or d.room = any($5) or d.labels @> any($6::jsonb[])) order by d.id limit $7",
        cursor,
        room,
        None if label is None else label_json(label),
        not scopes,
        rooms,
        [label_json(one) for one in labels],
        limit + 1,
    )
    devices = [device_of(*row) for row in rows]
    return Page(items=devices[:limit], cursor=devices[limit - 1].id if len(devices) > limit else None)


async def members(connection: Connection, room: str, *, limit: int) -> list[str]:
    """See `iot_system.ports.store.Store.members`."""
    rows = await connection.fetch("select id from devices where room = $1 order by id limit $2", room, limit)
    return [row[0] for row in rows]


def label_json(label: str) -> str:
    """What labels contain that have ``name=value``."""
    name, _, value = label.partition("=")
    return json_text({name: value})
