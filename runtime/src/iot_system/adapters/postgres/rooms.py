"""Rooms: registrations, and what their actors know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Raw

from iot_system.adapters.blobs import decode_room_state, encode_blob
from iot_system.adapters.postgres.database import Connection
from iot_system.adapters.postgres.registry import label_json
from iot_system.adapters.registrations import ROOM, json_text, room_of, scoped
from iot_system.domain.access import Scope
from iot_system.domain.registry import Page, Room
from iot_system.domain.twin import RoomState


async def load_rooms(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[Room, RoomState]]:
    """See `iot_system.ports.store.Store.load_rooms`."""
    rows = await connection.fetch(
        f"select i.id, {ROOM}, s.state from unnest($1::text[]) i (id) "  # noqa: S608
        "left join room_registrations r on r.id = i.id left join rooms s on s.id = i.id "
        "where r.id is not null or s.id is not null",
        ids,
    )
    return {row[0]: (room_of(*row[:-1]), decode_room_state(row[-1]) if row[-1] else RoomState()) for row in rows}


async def write_states(connection: Connection, states: Mapping[str, RoomState | Raw]) -> None:
    """Whole, as the actors have them."""
    await connection.execute(
        "insert into rooms select * from unnest($1::text[], $2::bytea[]) "
        "on conflict (id) do update set state = excluded.state",
        list(states),
        [encode_blob(state) for state in states.values()],
    )


async def write_rooms(connection: Connection, rooms: Sequence[Room]) -> None:
    """Register, or overwrite registrations."""
    await connection.executemany(
        "insert into room_registrations (id, behaviour, labels, stale_after_s, created_us, updated_us) "
        "values ($1, $2, $3, $4, $5, $6) on conflict (id) do update set behaviour = excluded.behaviour, "
        "labels = excluded.labels, stale_after_s = excluded.stale_after_s, created_us = excluded.created_us, "
        "updated_us = excluded.updated_us",
        [
            (room.id, room.behaviour, json_text(room.labels), room.stale_after_s, room.created_us, room.updated_us)
            for room in rooms
        ],
    )


async def remove_rooms(connection: Connection, ids: Sequence[str]) -> None:
    """Registrations and states."""
    await connection.execute("delete from room_registrations where id = any($1)", ids)
    await connection.execute("delete from rooms where id = any($1)", ids)


async def list_rooms(connection: Connection, *, limit: int, cursor: str | None, scopes: Sequence[Scope]) -> Page:
    """See `iot_system.ports.store.Store.list_rooms`."""
    rooms, labels = scoped(scopes)
    behind = "($1::text is null or id > $1) and ($2 or id = any($3)"
    rows = await connection.fetch(
        f"select i.id, {ROOM} from ("  # noqa: S608
        f"(select id from room_registrations where {behind} or labels @> any($4::jsonb[])) order by id limit $5) union "
        f"(select id from rooms where {behind}) order by id limit $5)"
        ") i left join room_registrations r on r.id = i.id order by i.id limit $5",
        cursor,
        not scopes,
        rooms,
        [label_json(one) for one in labels],
        limit + 1,
    )
    found = [room_of(*row) for row in rows]
    return Page(items=found[:limit], cursor=found[limit - 1].id if len(found) > limit else None)
