"""Rooms: registrations, and what their actors know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sqlite3 import Connection

from msgspec import Raw

from iot_system.adapters.blobs import decode_room_state, encode_blob
from iot_system.adapters.registrations import ROOM, json_text, room_of, scoped
from iot_system.domain.access import Scope
from iot_system.domain.registry import Page, Room
from iot_system.domain.twin import RoomState


def load_rooms(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[Room, RoomState]]:
    """See `iot_system.ports.store.Store.load_rooms`."""
    rows = connection.execute(
        f"select i.value, {ROOM}, s.state from json_each(?) i "  # noqa: S608
        "left join room_registrations r on r.id = i.value left join rooms s on s.id = i.value "
        "where r.id is not null or s.id is not null",
        (json_text(ids),),
    )
    return {row[0]: (room_of(*row[:-1]), decode_room_state(row[-1]) if row[-1] else RoomState()) for row in rows}


def write_states(connection: Connection, states: Mapping[str, RoomState | Raw]) -> None:
    """Whole, as the actors have them."""
    connection.executemany(
        "insert into rooms values (?, ?) on conflict (id) do update set state = excluded.state",
        [(id_, encode_blob(state)) for id_, state in states.items()],
    )


def write_rooms(connection: Connection, rooms: Sequence[Room]) -> None:
    """Register, or overwrite registrations."""
    connection.executemany(
        "insert into room_registrations (id, behaviour, labels, stale_after_s, created_us, updated_us) "
        "values (?, ?, ?, ?, ?, ?) on conflict (id) do update set behaviour = excluded.behaviour, "
        "labels = excluded.labels, stale_after_s = excluded.stale_after_s, created_us = excluded.created_us, "
        "updated_us = excluded.updated_us",
        [
            (room.id, room.behaviour, json_text(room.labels), room.stale_after_s, room.created_us, room.updated_us)
            for room in rooms
        ],
    )


def remove_rooms(connection: Connection, ids: Sequence[str]) -> None:
    """Registrations and states."""
    for table in ("room_registrations", "rooms"):
        connection.executemany(f"delete from {table} where id = ?", [(id_,) for id_ in ids])  # noqa: S608


def list_rooms(connection: Connection, *, limit: int, cursor: str | None, scopes: Sequence[Scope]) -> Page:
    """See `iot_system.ports.store.Store.list_rooms`."""
    rooms, labels = scoped(scopes)
    behind = "(?1 is null or id > ?1) and (?2 or id in (select value from json_each(?3))"
    of_labels = "exists (select 1 from json_each(?4) s join json_each(labels) l on s.value = l.key || '=' || l.value)"
    rows = connection.execute(
        f"select i.id, {ROOM} from ("  # noqa: S608
        f"select id from (select id from room_registrations where {behind} or {of_labels}) order by id limit ?5) union "
        f"select id from (select id from rooms where {behind}) order by id limit ?5)"
        ") i left join room_registrations r on r.id = i.id order by i.id limit ?5",
        (cursor, not scopes, json_text(rooms), json_text(labels), limit + 1),
    )
    found = [room_of(*row) for row in rows]
    return Page(items=found[:limit], cursor=found[limit - 1].id if len(found) > limit else None)
