"""Partitions: claims, the guard of every write, and the commit of what frames changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from iot_system.adapters.blobs import EMPTY, decode_numbers, encode_blob
from iot_system.adapters.postgres.database import Connection
from iot_system.adapters.postgres.rows import COLUMNS, rows_of
from iot_system.domain.history import Reading
from iot_system.errors import Conflict, Fenced
from iot_system.ports.store import Claim, Guard, OutboxMessage, PartitionCommit

_CLAIM = """
insert into partitions as p (number, epoch, owner, stream, applied, received, sent)
select number, 1, $2, $3, 0, $4, $4 from unnest($1::integer[]) number order by number
on conflict (number) do update set
    epoch = p.epoch + 1,
    owner = excluded.owner,
    applied = case when p.stream = excluded.stream then p.applied else 0 end,
    stream = excluded.stream
returning number, epoch, applied, received, sent
"""


async def claim(connection: Connection, numbers: Iterable[int], owner: str, stream: str) -> dict[int, Claim]:
    """See `iot_system.ports.store.Store.claim`."""
    rows = await connection.fetch(_CLAIM, sorted(set(numbers)), owner, stream, EMPTY)
    waiting: dict[int, list[OutboxMessage]] = {row["number"]: [] for row in rows}
    for source, *message in await connection.fetch(
        "select source, target, number, data from outbox where source = any($1) order by source, number, target",
        list(waiting),
    ):
        waiting[source].append(OutboxMessage(*message))
    return {
        number: Claim(number, epoch, applied, decode_numbers(received), decode_numbers(sent), waiting[number])
        for number, epoch, applied, received, sent in rows
    }


async def check(connection: Connection, guard: Guard) -> None:
    """Hold the partition until the end of the transaction. Raises `Fenced` where ``guard`` is of an older epoch."""
    epoch = await connection.fetchval("select epoch from partitions where number = $1 for update", guard.partition)
    if epoch != guard.epoch:
        raise Fenced(frozenset({guard.partition}))


async def applied(connection: Connection, stream: str) -> dict[int, int]:
    """See `iot_system.ports.store.Store.applied`."""
    return dict(
        await connection.fetch("select number, case when stream = $1 then applied else 0 end from partitions", stream)
    )


async def commit(
    connection: Connection, commits: Sequence[PartitionCommit], metrics: Mapping[str, int], *, merge: bool
) -> None:
    """See `iot_system.ports.store.Store.commit`; ``metrics`` holds the key of every metric in it.

    Without ``merge``, raises `asyncpg.UniqueViolationError` where a reading is in the history already: by the owner's
    knowledge there is none, and finding out for each would cost as much as writing it.
    """
    fresh = await _advance(connection, commits)
    await _trim_outbox(connection, commits)
    if not fresh:
        return
    if outbox := [(one.partition, message) for one in fresh for message in one.outbox]:
        await connection.execute(
            "insert into outbox select * from unnest($1::integer[], $2::integer[], $3::bigint[], $4::bytea[])",
            [source for source, _ in outbox],
            [message.target for _, message in outbox],
            [message.number for _, message in outbox],
            [message.data for _, message in outbox],
        )
    if rooms := {id_: encode_blob(state) for one in fresh for id_, state in one.rooms.items()}:
        await connection.execute(
            "insert into rooms select * from unnest($1::text[], $2::bytea[]) "
            "on conflict (id) do update set state = excluded.state",
            list(rooms),
            list(rooms.values()),
        )
    await _write_devices(connection, fresh, metrics, merge=merge)


async def _advance(connection: Connection, commits: Sequence[PartitionCommit]) -> list[PartitionCommit]:
    """Move the partitions on, holding them until the end; returns those commits that were not applied before."""
    rows = await connection.fetch(
        "select number, epoch, applied, received, sent from partitions where number = any($1) "
        "order by number for update",
        [one.partition for one in commits],
    )
    held = {row["number"]: row for row in rows}
    owned = {row["number"]: row["epoch"] for row in rows}
    if fenced := frozenset(one.partition for one in commits if owned.get(one.partition) != one.epoch):
        raise Fenced(fenced)
    fresh = [one for one in commits if held[one.partition]["applied"] < one.applied]
    for one in fresh:
        if (position := held[one.partition]["applied"]) != one.before:
            raise Conflict(f"partition {one.partition} is at {position}; a commit from {one.before} on does not fit")
    if fresh:
        await connection.execute(
            "update partitions p set applied = c.applied, received = c.received, sent = c.sent "
            "from unnest($1::integer[], $2::bigint[], $3::bytea[], $4::bytea[]) c (number, applied, received, sent) "
            "where p.number = c.number",
            [one.partition for one in fresh],
            [one.applied for one in fresh],
            [_merged(held[one.partition]["received"], one.received) for one in fresh],
            [_merged(held[one.partition]["sent"], _last_numbers(one.outbox)) for one in fresh],
        )
    return fresh


async def _trim_outbox(connection: Connection, commits: Sequence[PartitionCommit]) -> None:
    if lanes := [(one.partition, target, number) for one in commits for target, number in one.published.items()]:
        await connection.execute(
            "delete from outbox o using unnest($1::integer[], $2::integer[], $3::bigint[]) p (source, target, number) "
            "where o.source = p.source and o.target = p.target and o.number <= p.number",
            *(list(column) for column in zip(*lanes, strict=True)),
        )


async def _write_devices(
    connection: Connection, commits: Sequence[PartitionCommit], metrics: Mapping[str, int], *, merge: bool
) -> None:
    """States and readings of the devices that are registered."""
    states = {id_: state for one in commits for id_, state in one.devices.items()}
    readings: list[Reading] = [reading for one in commits for reading in one.readings]
    ids = states.keys() | {reading.device for reading in readings}
    if not ids:
        return
    keys = dict(await connection.fetch("select id, key from devices where id = any($1)", list(ids)))
    await connection.execute(
        "insert into device_states select * from unnest($1::integer[], $2::bytea[]) "
        "on conflict (device) do update set state = excluded.state",
        [keys[id_] for id_ in states if id_ in keys],
        [encode_blob(state) for id_, state in states.items() if id_ in keys],
    )
    if readings:
        await _write_history(connection, rows_of(readings, keys, metrics), merge=merge)


async def _write_history(connection: Connection, rows: bytearray, *, merge: bool) -> None:
    if merge:
        await connection.execute("create temporary table incoming (like history) on commit drop")
    table = "incoming" if merge else "history"
    await connection.copy_to_table(table, source=rows, columns=COLUMNS, format="binary")
    if merge:
        columns = ", ".join(COLUMNS)
        await connection.execute(
            f"insert into history ({columns}) select {columns} from incoming on conflict do nothing"  # noqa: S608
        )


def _merged(before: bytes, changes: Mapping[int, int]) -> bytes:
    return encode_blob({**decode_numbers(before), **changes}) if changes else before


def _last_numbers(messages: Sequence[OutboxMessage]) -> dict[int, int]:
    """Target → the highest number; they grow."""
    return {message.target: message.number for message in messages}
