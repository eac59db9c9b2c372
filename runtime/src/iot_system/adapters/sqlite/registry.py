"""Registrations, credentials, and the states of actors."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

from iot_system.adapters.blobs import decode_device_state, decode_room_state
from iot_system.adapters.registrations import device_of, json_text, not_registered
from iot_system.domain.registry import Credential, Device, DeviceAccess, Page
from iot_system.domain.twin import DeviceState, RoomState
from iot_system.errors import NotFound

_DEVICE = "d.id, d.room, d.behaviour, d.labels, d.enabled, d.created_us, d.updated_us"
_AMONG = "in (select value from json_each(?))"


def load_devices(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[Device, DeviceState]]:
    """See `iot_system.ports.store.Store.load_devices`."""
    rows = connection.execute(
        f"select {_DEVICE}, s.state from devices d left join device_states s on s.device = d.key "  # noqa: S608
        f"where d.id {_AMONG}",
        (json_text(list(ids)),),
    )
    return {row[0]: (device_of(*row[:-1]), decode_device_state(row[-1]) if row[-1] else DeviceState()) for row in rows}


def load_rooms(connection: Connection, ids: Sequence[str]) -> dict[str, RoomState]:
    """See `iot_system.ports.store.Store.load_rooms`."""
    rows = connection.execute(f"select id, state from rooms where id {_AMONG}", (json_text(list(ids)),))  # noqa: S608
    return {id_: decode_room_state(state) for id_, state in rows}


def put_devices(connection: Connection, devices: Sequence[Device]) -> list[str]:
    """See `iot_system.ports.store.Store.put_devices`."""
    existing = []
    for device in devices:
        new = connection.execute(
            "insert into devices (id, room, behaviour, labels, enabled, created_us, updated_us) "
            "values (?, ?, ?, ?, ?, ?, ?) on conflict (id) do nothing",
            (device.id, *_registration(device)),
        )
        if not new.rowcount:
            existing.append(device.id)
    return existing


def save_device(connection: Connection, device: Device) -> None:
    """See `iot_system.ports.store.Store.save_device`."""
    changed = connection.execute(
        "update devices set room = ?, behaviour = ?, labels = ?, enabled = ?, created_us = ?, updated_us = ? "
        "where id = ?",
        (*_registration(device), device.id),
    )
    if not changed.rowcount:
        raise not_registered(device.id)


def delete_device(connection: Connection, id_: str) -> None:
    """See `iot_system.ports.store.Store.delete_device`; what refers to it goes with it."""
    if not connection.execute("delete from devices where id = ?", (id_,)).rowcount:
        raise not_registered(id_)


def add_credential(connection: Connection, credential: Credential) -> None:
    """See `iot_system.ports.store.Store.add_credential`."""
    row = connection.execute("select key from devices where id = ?", (credential.device,)).fetchone()
    if row is None:
        raise not_registered(credential.device)
    connection.execute(
        "insert into credentials (device, id, sha256, created_us) values (?, ?, ?, ?) on conflict do nothing",
        (*row, credential.id, credential.sha256, credential.created_us),
    )


def delete_credential(connection: Connection, device: str, credential: str) -> None:
    """See `iot_system.ports.store.Store.delete_credential`."""
    deleted = connection.execute(
        "delete from credentials where device = (select key from devices where id = ?) and id = ?",
        (device, credential),
    )
    if not deleted.rowcount:
        raise NotFound(f"device {device!r} has no credential {credential!r}")


def access(connection: Connection, ids: Sequence[str]) -> list[DeviceAccess]:
    """See `iot_system.ports.store.Store.access`."""
    text = json_text(list(ids))
    rows = connection.execute(
        f"select {_DEVICE} from devices d where d.id {_AMONG} order by d.id",  # noqa: S608
        (text,),
    ).fetchall()
    credentials: dict[str, list[Credential]] = {row[0]: [] for row in rows}
    for id_, device, sha256, created_us in connection.execute(
        "select c.id, d.id, c.sha256, c.created_us from credentials c join devices d on d.key = c.device "  # noqa: S608
        f"where d.id {_AMONG} order by c.created_us, c.id",
        (text,),
    ):
        credentials[device].append(Credential(id=id_, device=device, sha256=sha256, created_us=created_us))
    return [DeviceAccess(device=device_of(*row), credentials=tuple(credentials[row[0]])) for row in rows]


def list_devices(
    connection: Connection, *, room: str | None, label: str | None, limit: int, cursor: str | None
) -> Page:
    """See `iot_system.ports.store.Store.list_devices`."""
    name, _, value = (label or "").partition("=")
    rows = connection.execute(
        f"select {_DEVICE} from devices d where (?1 is null or d.id > ?1) and (?2 is null or d.room = ?2) "  # noqa: S608
        "and (?3 is null or exists (select 1 from json_each(d.labels) l where l.key = ?4 and l.value = ?5)) "
        "order by d.id limit ?6",
        (cursor, room, label, name, value, limit + 1),
    )
    devices = [device_of(*row) for row in rows]
    return Page(items=devices[:limit], cursor=devices[limit - 1].id if len(devices) > limit else None)


def list_rooms(connection: Connection, *, limit: int, cursor: str | None) -> Page:
    """See `iot_system.ports.store.Store.list_rooms`."""
    rows = connection.execute(
        "select id from rooms where ?1 is null or id > ?1 order by id limit ?2", (cursor, limit + 1)
    )
    ids = [row[0] for row in rows]
    return Page(items=ids[:limit], cursor=ids[limit - 1] if len(ids) > limit else None)


def _registration(device: Device) -> tuple[str | int | None, ...]:
    labels = json_text(device.labels)
    return device.room, device.behaviour, labels, device.enabled, device.created_us, device.updated_us
