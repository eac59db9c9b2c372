"""Registrations, credentials, and the states of actors."""

from __future__ import annotations

from collections.abc import Sequence

from iot_system.adapters.blobs import decode_device_state, decode_room_state
from iot_system.adapters.postgres.database import Connection
from iot_system.adapters.registrations import device_of, json_text, not_registered
from iot_system.domain.registry import Credential, Device, DeviceAccess, Page
from iot_system.domain.twin import DeviceState, RoomState
from iot_system.errors import NotFound

_DEVICE = "d.id, d.room, d.behaviour, d.labels, d.enabled, d.created_us, d.updated_us"


async def load_devices(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[Device, DeviceState]]:
    """See `iot_system.ports.store.Store.load_devices`."""
    rows = await connection.fetch(
        f"select {_DEVICE}, s.state from devices d left join device_states s on s.device = d.key "  # noqa: S608
        "where d.id = any($1)",
        ids,
    )
    return {row[0]: (device_of(*row[:-1]), decode_device_state(row[-1]) if row[-1] else DeviceState()) for row in rows}


async def load_rooms(connection: Connection, ids: Sequence[str]) -> dict[str, RoomState]:
    """See `iot_system.ports.store.Store.load_rooms`."""
    rows = await connection.fetch("select id, state from rooms where id = any($1)", ids)
    return {id_: decode_room_state(state) for id_, state in rows}


async def put_devices(connection: Connection, devices: Sequence[Device]) -> list[str]:
    """See `iot_system.ports.store.Store.put_devices`."""
    rows = await connection.fetch(
        "insert into devices (id, room, behaviour, labels, enabled, created_us, updated_us) "
        "select * from unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::boolean[], $6::bigint[], "
        "$7::bigint[]) on conflict (id) do nothing returning id",
        [device.id for device in devices],
        [device.room for device in devices],
        [device.behaviour for device in devices],
        [json_text(device.labels) for device in devices],
        [device.enabled for device in devices],
        [device.created_us for device in devices],
        [device.updated_us for device in devices],
    )
    new = {row[0] for row in rows}
    existing = []
    for device in devices:
        if device.id in new:
            new.discard(device.id)
        else:
            existing.append(device.id)
    return existing


async def save_device(connection: Connection, device: Device) -> None:
    """See `iot_system.ports.store.Store.save_device`."""
    changed = await connection.fetchval(
        "update devices set room = $2, behaviour = $3, labels = $4, enabled = $5, created_us = $6, updated_us = $7 "
        "where id = $1 returning key",
        device.id,
        device.room,
        device.behaviour,
        json_text(device.labels),
        device.enabled,
        device.created_us,
        device.updated_us,
    )
    if changed is None:
        raise not_registered(device.id)


async def delete_device(connection: Connection, id_: str) -> None:
    """See `iot_system.ports.store.Store.delete_device`; the history is out of reach, and goes with `purge`."""
    key = await connection.fetchval("delete from devices where id = $1 returning key", id_)
    if key is None:
        raise not_registered(id_)
    await connection.execute("insert into removed_devices values ($1)", key)


async def purge(connection: Connection, tables: Sequence[str]) -> None:
    """Take the history of deleted devices off the disk: table by table, so that no statement takes long."""
    keys = [row[0] for row in await connection.fetch("select key from removed_devices")]
    if keys:
        for table in tables:
            await connection.execute(f"delete from {table} where device = any($1)", keys)  # noqa: S608
        await connection.execute("delete from removed_devices where key = any($1)", keys)


async def add_credential(connection: Connection, credential: Credential) -> None:
    """See `iot_system.ports.store.Store.add_credential`."""
    key = await connection.fetchval("select key from devices where id = $1", credential.device)
    if key is None:
        raise not_registered(credential.device)
    await connection.execute(
        "insert into credentials (device, id, sha256, created_us) values ($1, $2, $3, $4) on conflict do nothing",
        key,
        credential.id,
        credential.sha256,
        credential.created_us,
    )


async def delete_credential(connection: Connection, device: str, credential: str) -> None:
    """See `iot_system.ports.store.Store.delete_credential`."""
    deleted = await connection.fetchval(
        "delete from credentials c using devices d where d.key = c.device and d.id = $1 and c.id = $2 returning c.id",
        device,
        credential,
    )
    if deleted is None:
        raise NotFound(f"device {device!r} has no credential {credential!r}")


async def access(connection: Connection, ids: Sequence[str]) -> list[DeviceAccess]:
    """See `iot_system.ports.store.Store.access`."""
    rows = await connection.fetch(
        f"select {_DEVICE} from devices d where d.id = any($1) order by d.id",  # noqa: S608
        ids,
    )
    credentials: dict[str, list[Credential]] = {row[0]: [] for row in rows}
    for id_, device, sha256, created_us in await connection.fetch(
        "select c.id, d.id, c.sha256, c.created_us from credentials c join devices d on d.key = c.device "
        "where d.id = any($1) order by c.created_us, c.id",
        ids,
    ):
        if device in credentials:  # registered between the two statements
            credentials[device].append(Credential(id=id_, device=device, sha256=sha256, created_us=created_us))
    return [DeviceAccess(device=device_of(*row), credentials=tuple(credentials[row[0]])) for row in rows]


async def list_devices(
    connection: Connection, *, room: str | None, label: str | None, limit: int, cursor: str | None
) -> Page:
    """See `iot_system.ports.store.Store.list_devices`."""
    name, _, value = (label or "").partition("=")
    rows = await connection.fetch(
        f"select {_DEVICE} from devices d where ($1::text is null or d.id > $1) "  # noqa: S608
        "and ($2::text is null or d.room = $2) and ($3::jsonb is null or d.labels @> $3) order by d.id limit $4",
        cursor,
        room,
        None if label is None else json_text({name: value}),
        limit + 1,
    )
    devices = [device_of(*row) for row in rows]
    return Page(items=devices[:limit], cursor=devices[limit - 1].id if len(devices) > limit else None)


async def list_rooms(connection: Connection, *, limit: int, cursor: str | None) -> Page:
    """See `iot_system.ports.store.Store.list_rooms`."""
    rows = await connection.fetch(
        "select id from rooms where $1::text is null or id > $1 order by id limit $2", cursor, limit + 1
    )
    ids = [row[0] for row in rows]
    return Page(items=ids[:limit], cursor=ids[limit - 1] if len(ids) > limit else None)
