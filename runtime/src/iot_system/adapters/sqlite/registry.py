"""Registered devices and their states."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

from iot_system.adapters.blobs import decode_device_state
from iot_system.adapters.registrations import DEVICE, device_of, json_text, scoped
from iot_system.adapters.sqlite.commands import open_of
from iot_system.domain.access import Scope
from iot_system.domain.commands import Command
from iot_system.domain.registry import Device, Page
from iot_system.domain.twin import DeviceState

_AMONG = "in (select value from json_each(?))"


def load_devices(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[Device, DeviceState, list[Command]]]:
    """See `iot_system.ports.store.Store.load_devices`."""
    rows = connection.execute(
        f"select {DEVICE}, s.state from devices d left join device_states s on s.device = d.key "  # noqa: S608
        f"where d.id {_AMONG}",
        (json_text(ids),),
    ).fetchall()
    commands = open_of(connection, [row[0] for row in rows])
    return {
        row[0]: (
            device_of(*row[:-1]),
            decode_device_state(row[-1]) if row[-1] else DeviceState(),
            commands.get(row[0], []),
        )
        for row in rows
    }


def write_devices(connection: Connection, devices: Sequence[Device]) -> None:
    """Register, or overwrite registrations."""
    connection.executemany(
        "insert into devices (id, room, behaviour, labels, enabled, gateway, created_us, updated_us) "
        "values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update set room = excluded.room, "
        "behaviour = excluded.behaviour, labels = excluded.labels, enabled = excluded.enabled, "
        "gateway = excluded.gateway, created_us = excluded.created_us, updated_us = excluded.updated_us",
        [
            (
                *(device.id, device.room, device.behaviour, json_text(device.labels)),
                *(device.enabled, device.gateway, device.created_us, device.updated_us),
            )
            for device in devices
        ],
    )


def remove_devices(connection: Connection, ids: Sequence[str]) -> None:
    """With all that refers to them."""
    connection.executemany("delete from devices where id = ?", [(id_,) for id_ in ids])


def list_devices(
    connection: Connection,
    *,
    room: str | None,
    label: str | None,
    limit: int,
    cursor: str | None,
    scopes: Sequence[Scope],
) -> Page:
    """See `iot_system.ports.store.Store.list_devices`."""
    name, _, value = (label or "").partition("=")
    rooms, labels = scoped(scopes)
    rows = connection.execute(
        f"select {DEVICE} from devices d where (?1 is null or d.id > ?1) and (?2 is null or d.room = ?2) "  # noqa: S608
        "and (?3 is null or exists (select 1 from json_each(d.labels) l where l.key = ?4 and l.value = ?5)) "
        "and (?6 or d.room in (select value from json_each(?7)) or exists "
        "(select 1 from json_each(?8) s join json_each(d.labels) l on s.value = l.key || '=' || l.value)) "
        "order by d.id limit ?9",
        (cursor, room, label, name, value, not scopes, json_text(rooms), json_text(labels), limit + 1),
    )
    devices = [device_of(*row) for row in rows]
    return Page(items=devices[:limit], cursor=devices[limit - 1].id if len(devices) > limit else None)


def members(connection: Connection, room: str, *, limit: int) -> list[str]:
    """See `iot_system.ports.store.Store.members`."""
    rows = connection.execute("select id from devices where room = ? order by id limit ?", (room, limit))
    return [row[0] for row in rows]
