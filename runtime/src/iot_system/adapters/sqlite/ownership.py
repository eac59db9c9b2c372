"""Partitions: claims, the guard of every write, and the commit of what a turn changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Connection

import msgspec

from iot_system.adapters.blobs import EMPTY, decode_numbers, encode_blob
from iot_system.adapters.sqlite import duties, records, registry, rooms
from iot_system.adapters.sqlite.commands import write_commands
from iot_system.adapters.sqlite.values import stored_value
from iot_system.errors import Conflict, Fenced
from iot_system.ports.store import Claim, Guard, OutboxMessage, PartitionCommit

_CLAIM = """
insert into partitions (number, epoch, owner, stream, applied, received, sent) values (?1, 1, ?2, ?3, 0, ?4, ?4)
on conflict (number) do update set
    epoch = epoch + 1,
    owner = excluded.owner,
    applied = case when stream = excluded.stream then applied else 0 end,
    stream = excluded.stream
returning epoch, revision, applied, received, sent
"""


def claim(connection: Connection, numbers: Iterable[int], owner: str, stream: str) -> dict[int, Claim]:
    """See `iot_system.ports.store.Store.claim`."""
    claims = {}
    for number in sorted(set(numbers)):
        (row,) = connection.execute(_CLAIM, (number, owner, stream, EMPTY)).fetchall()
        epoch, revision, applied, received, sent = row
        outbox = connection.execute(
            "select target, number, data from outbox where source = ? order by number, target", (number,)
        )
        messages = [OutboxMessage(*message) for message in outbox]
        claims[number] = Claim(
            *(number, epoch, revision, applied, decode_numbers(received), decode_numbers(sent), messages),
            timers=duties.timers_of(connection, number),
            connections=duties.connections_of(connection, number),
        )
    return claims


def check(connection: Connection, guards: Sequence[Guard]) -> None:
    """See `iot_system.ports.store.Store.check`."""
    find = "select epoch from partitions where number = ?"
    if fenced := frozenset(
        guard.partition for guard in guards if connection.execute(find, (guard.partition,)).fetchone() != (guard.epoch,)
    ):
        raise Fenced(fenced)


def applied(connection: Connection, stream: str) -> dict[int, int]:
    """See `iot_system.ports.store.Store.applied`."""
    return dict(
        connection.execute("select number, case when stream = ? then applied else 0 end from partitions", (stream,))
    )


def commit(connection: Connection, commits: Sequence[PartitionCommit]) -> None:
    """See `iot_system.ports.store.Store.commit`."""
    fresh = _advance(connection, commits)
    for one in commits:
        connection.executemany(
            "delete from outbox where source = ? and target = ? and number <= ?",
            [(one.partition, target, number) for target, number in one.published.items()],
        )
    for one in fresh:
        connection.executemany(
            "insert into outbox values (?, ?, ?, ?)",
            [(one.partition, message.target, message.number, message.data) for message in one.outbox],
        )
        rooms.write_rooms(connection, one.registered_rooms)
        rooms.write_states(connection, one.rooms)
    _write_devices(connection, fresh)
    for one in fresh:
        duties.write_timers(connection, [(one.partition, actor, due_us) for actor, due_us in one.timers.items()])
        records.write_failures(connection, one.failures)
        records.write_audit(connection, one.audit)
        if one.removed:
            _remove(connection, one)


def _advance(connection: Connection, commits: Sequence[PartitionCommit]) -> list[PartitionCommit]:
    """Move the partitions on; returns those commits that were not applied before."""
    numbers = msgspec.json.encode([one.partition for one in commits])
    rows = connection.execute(
        "select number, epoch, revision, received, sent from partitions "
        "where number in (select value from json_each(?))",
        (numbers.decode(),),
    )
    held = {number: (epoch, revision, received, sent) for number, epoch, revision, received, sent in rows}
    if fenced := frozenset(one.partition for one in commits if held.get(one.partition, (0,))[0] != one.epoch):
        raise Fenced(fenced)
    fresh = [one for one in commits if held[one.partition][1] < one.revision]
    for one in fresh:
        _, revision, received, sent = held[one.partition]
        if revision != one.revision - 1:
            raise Conflict(f"partition {one.partition} is at revision {revision}; commit {one.revision} does not fit")
        connection.execute(
            "update partitions set revision = ?, applied = ?, received = ?, sent = ? where number = ?",
            (
                one.revision,
                one.applied,
                _merged(received, one.received),
                _merged(sent, one.sent),
                one.partition,
            ),
        )
    return fresh


def _write_devices(connection: Connection, commits: Sequence[PartitionCommit]) -> None:
    """Registrations, then what belongs to the devices that are registered."""
    registry.write_devices(connection, [device for one in commits for device in one.registered_devices])
    messages = [message for one in commits for message in one.readings]
    states = {id_: state for one in commits for id_, state in one.devices.items()}
    commands = [command for one in commits for command in one.commands]
    connections = [(one.partition, id_, gateway) for one in commits for id_, gateway in one.connections.items()]
    wanted = states.keys() | {message.device for message in messages}
    wanted |= {command.device for command in commands} | {id_ for _, id_, _ in connections}
    if not wanted:
        return
    ids = msgspec.json.encode(list(wanted)).decode()
    devices: dict[str, int] = dict(
        connection.execute("select id, key from devices where id in (select value from json_each(?))", (ids,))
    )
    write_commands(connection, commands, devices)
    duties.write_connections(connection, connections, devices)
    metrics = _metrics(connection, {metric for message in messages for metric in message.values})
    connection.executemany(
        "insert into device_states values (?, ?) on conflict (device) do update set state = excluded.state",
        [(devices[id_], encode_blob(state)) for id_, state in states.items() if id_ in devices],
    )
    connection.executemany(
        "insert into history (device, time_us, metric, kind, value) values (?, ?, ?, ?, ?) on conflict do nothing",
        [
            (devices[message.device], message.time_us, metrics[metric], *stored_value(value))
            for message in messages
            if message.device in devices
            for metric, value in message.values.items()
        ],
    )


def _remove(connection: Connection, commit: PartitionCommit) -> None:
    """Actors that are no more, with all that is theirs."""
    registry.remove_devices(connection, [actor.id for actor in commit.removed if actor.kind == "device"])
    rooms.remove_rooms(connection, [actor.id for actor in commit.removed if actor.kind == "room"])
    duties.write_timers(connection, [(commit.partition, actor, None) for actor in commit.removed])
    records.remove_failures(connection, commit.removed)


def _metrics(connection: Connection, names: set[str]) -> dict[str, int]:
    connection.executemany(
        "insert into metrics (name) values (?) on conflict do nothing", [(name,) for name in sorted(names)]
    )
    text = msgspec.json.encode(list(names)).decode()
    return dict(
        connection.execute("select name, key from metrics where name in (select value from json_each(?))", (text,))
    )


def _merged(before: bytes, changes: Mapping[int, int]) -> bytes:
    return encode_blob({**decode_numbers(before), **changes}) if changes else before
