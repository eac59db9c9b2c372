"""Partitions: claims, the guard of every write, and the commit of what a turn changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from iot_system.adapters.blobs import EMPTY, decode_numbers, encode_blob
from iot_system.adapters.postgres import duties, records, registry, rooms
from iot_system.adapters.postgres.commands import write_commands
from iot_system.adapters.postgres.database import Connection
from iot_system.adapters.postgres.rows import COLUMNS, rows_of
from iot_system.domain.addresses import Address
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
returning number, epoch, revision, applied, received, sent
"""


_MERGE = """
insert into history (time_us, device, metric, number, whole, flag, text, json)
select i.time_us, i.device, r.metric,
    coalesce(p.number, i.number), coalesce(p.whole, i.whole), coalesce(p.flag, i.flag), i.text, i.json
from incoming i
left join lateral unnest(i.metrics, i.numbers, i.wholes, i.flags) p (metric, number, whole, flag) on true
cross join lateral (select coalesce(p.metric, i.metric) as metric) r
where not exists (
    select from history h where h.device = i.device and h.time_us = i.time_us and h.time_us between $1 and $2
    and (h.metric = r.metric or r.metric = any(h.metrics))
)
order by i.ctid
on conflict do nothing
"""
"""Between bounds of time, so that a long history is not read as a whole; of two equal ones the first stays."""


async def claim(connection: Connection, numbers: Iterable[int], owner: str, stream: str) -> dict[int, Claim]:
    """See `iot_system.ports.store.Store.claim`."""
    numbers = sorted(set(numbers))
    rows = await connection.fetch(_CLAIM, numbers, owner, stream, EMPTY)
    waiting: dict[int, list[OutboxMessage]] = {row["number"]: [] for row in rows}
    for source, *message in await connection.fetch(
        "select source, target, number, data from outbox where source = any($1) order by source, number, target",
        list(waiting),
    ):
        waiting[source].append(OutboxMessage(*message))
    timers = await duties.timers_of(connection, numbers)
    connections = await duties.connections_of(connection, numbers)
    return {
        number: Claim(
            number,
            epoch,
            revision,
            applied,
            decode_numbers(received),
            decode_numbers(sent),
            waiting[number],
            timers[number],
            connections[number],
        )
        for number, epoch, revision, applied, received, sent in rows
    }


async def check(connection: Connection, guards: Sequence[Guard]) -> None:
    """See `iot_system.ports.store.Store.check`."""
    numbers = [guard.partition for guard in guards]
    owned = dict(await connection.fetch("select number, epoch from partitions where number = any($1)", numbers))
    if fenced := frozenset(guard.partition for guard in guards if owned.get(guard.partition) != guard.epoch):
        raise Fenced(fenced)


async def hold(connection: Connection, guard: Guard) -> None:
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
    await _write_rooms(connection, fresh)
    await _write_devices(connection, fresh, metrics, merge=merge)
    if timers := [(one.partition, actor, due_us) for one in fresh for actor, due_us in one.timers.items()]:
        await duties.write_timers(connection, timers)
    if failures := [failure for one in fresh for failure in one.failures]:
        await records.write_failures(connection, failures)
    if entries := [entry for one in fresh for entry in one.audit]:
        await records.write_audit(connection, entries)
    if removed := [(one.partition, actor) for one in fresh for actor in one.removed]:
        await _remove(connection, removed)


async def _advance(connection: Connection, commits: Sequence[PartitionCommit]) -> list[PartitionCommit]:
    """Move the partitions on, holding them until the end; returns those commits that were not applied before."""
    rows = await connection.fetch(
        "select number, epoch, revision, received, sent from partitions where number = any($1) "
        "order by number for update",
        [one.partition for one in commits],
    )
    held = {row["number"]: row for row in rows}
    owned = {row["number"]: row["epoch"] for row in rows}
    if fenced := frozenset(one.partition for one in commits if owned.get(one.partition) != one.epoch):
        raise Fenced(fenced)
    fresh = [one for one in commits if held[one.partition]["revision"] < one.revision]
    for one in fresh:
        if (revision := held[one.partition]["revision"]) != one.revision - 1:
            raise Conflict(f"partition {one.partition} is at revision {revision}; commit {one.revision} does not fit")
    if fresh:
        await connection.execute(
            "update partitions p set revision = c.revision, applied = c.applied, received = c.received, sent = c.sent "
            "from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[]) "
            "c (number, revision, applied, received, sent) where p.number = c.number",
            [one.partition for one in fresh],
            [one.revision for one in fresh],
            [one.applied for one in fresh],
            [_merged(held[one.partition]["received"], one.received) for one in fresh],
            [_merged(held[one.partition]["sent"], one.sent) for one in fresh],
        )
    return fresh


async def _trim_outbox(connection: Connection, commits: Sequence[PartitionCommit]) -> None:
    if lanes := [(one.partition, target, number) for one in commits for target, number in one.published.items()]:
        await connection.execute(
            "delete from outbox o using unnest($1::integer[], $2::integer[], $3::bigint[]) p (source, target, number) "
            "where o.source = p.source and o.target = p.target and o.number <= p.number",
            *(list(column) for column in zip(*lanes, strict=True)),
        )


async def _write_rooms(connection: Connection, commits: Sequence[PartitionCommit]) -> None:
    if registered := [room for one in commits for room in one.registered_rooms]:
        await rooms.write_rooms(connection, registered)
    if states := {id_: state for one in commits for id_, state in one.rooms.items()}:
        await rooms.write_states(connection, states)


async def _write_devices(
    connection: Connection, commits: Sequence[PartitionCommit], metrics: Mapping[str, int], *, merge: bool
) -> None:
    """Registrations, then what belongs to the devices that are registered."""
    if registered := {device.id: device for one in commits for device in one.registered_devices}:
        await registry.write_devices(connection, list(registered.values()))
    states = {id_: state for one in commits for id_, state in one.devices.items()}
    messages = [message for one in commits for message in one.readings]
    commands = [command for one in commits for command in one.commands]
    connections = [(one.partition, id_, gateway) for one in commits for id_, gateway in one.connections.items()]
    ids = states.keys() | {message.device for message in messages}
    ids |= {command.device for command in commands} | {id_ for _, id_, _ in connections}
    if not ids:
        return
    keys = dict(await connection.fetch("select id, key from devices where id = any($1)", list(ids)))
    if states:
        await connection.execute(
            "insert into device_states select * from unnest($1::integer[], $2::bytea[]) "
            "on conflict (device) do update set state = excluded.state",
            [keys[id_] for id_ in states if id_ in keys],
            [encode_blob(state) for id_, state in states.items() if id_ in keys],
        )
    if messages:
        await _write_history(connection, rows_of(messages, keys, metrics), merge=merge)
    if commands:
        await write_commands(connection, commands, keys)
    if connections:
        await duties.write_connections(connection, connections, keys)


async def _remove(connection: Connection, removed: Sequence[tuple[int, Address]]) -> None:
    """Actors that are no more, with all that is theirs."""
    for kind, remove in (("device", registry.remove_devices), ("room", rooms.remove_rooms)):
        if ids := [actor.id for _, actor in removed if actor.kind == kind]:
            await remove(connection, ids)
    await duties.write_timers(connection, [(number, actor, None) for number, actor in removed])
    await records.remove_failures(connection, [actor for _, actor in removed])


async def _write_history(connection: Connection, rows: bytearray, *, merge: bool) -> None:
    if merge:
        await connection.execute("create temporary table incoming (like history) on commit drop")
    table = "incoming" if merge else "history"
    await connection.copy_to_table(table, source=rows, columns=COLUMNS, format="binary")
    if merge:
        bounds = await connection.fetchrow("select min(time_us), max(time_us) from incoming")
        await connection.execute(_MERGE, *bounds)


def _merged(before: bytes, changes: Mapping[int, int]) -> bytes:
    return encode_blob({**decode_numbers(before), **changes}) if changes else before
