"""Partitions: claims, the guard of every write, and the commit of what frames changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Connection

import msgspec

from iot_system.adapters.blobs import EMPTY, decode_numbers, encode_blob
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
returning epoch, applied, received, sent
"""


def claim(connection: Connection, numbers: Iterable[int], owner: str, stream: str) -> dict[int, Claim]:
    """See `iot_system.ports.store.Store.claim`."""
    claims = {}
    for number in sorted(set(numbers)):
        ((epoch, applied, received, sent),) = connection.execute(_CLAIM, (number, owner, stream, EMPTY)).fetchall()
        outbox = connection.execute(
            "select target, number, data from outbox where source = ? order by number, target", (number,)
        )
        messages = [OutboxMessage(*message) for message in outbox]
        claims[number] = Claim(number, epoch, applied, decode_numbers(received), decode_numbers(sent), messages)
    return claims


def check(connection: Connection, guard: Guard) -> None:
    """Raises `Fenced` where ``guard`` is of an older epoch."""
    row = connection.execute("select epoch from partitions where number = ?", (guard.partition,)).fetchone()
    if row != (guard.epoch,):
        raise Fenced(frozenset({guard.partition}))


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
        connection.executemany(
            "insert into rooms values (?, ?) on conflict (id) do update set state = excluded.state",
            [(id_, encode_blob(state)) for id_, state in one.rooms.items()],
        )
    _write_devices(connection, fresh)


def _advance(connection: Connection, commits: Sequence[PartitionCommit]) -> list[PartitionCommit]:
    """Move the partitions on; returns those commits that were not applied before."""
    numbers = msgspec.json.encode([one.partition for one in commits])
    rows = connection.execute(
        "select number, epoch, applied, received, sent from partitions "
        "where number in (select value from json_each(?))",
        (numbers.decode(),),
    )
    held = {number: (epoch, position, received, sent) for number, epoch, position, received, sent in rows}
    if fenced := frozenset(one.partition for one in commits if held.get(one.partition, (0,))[0] != one.epoch):
        raise Fenced(fenced)
    fresh = [one for one in commits if held[one.partition][1] < one.applied]
    for one in fresh:
        _, position, received, sent = held[one.partition]
        if position != one.before:
            raise Conflict(f"partition {one.partition} is at {position}; a commit from {one.before} on does not fit")
        connection.execute(
            "update partitions set applied = ?, received = ?, sent = ? where number = ?",
            (
                one.applied,
                _merged(received, one.received),
                _merged(sent, {message.target: message.number for message in one.outbox}),
                one.partition,
            ),
        )
    return fresh


def _write_devices(connection: Connection, commits: Sequence[PartitionCommit]) -> None:
    """States and readings of the devices that are registered."""
    readings = [reading for one in commits for reading in one.readings]
    states = {id_: state for one in commits for id_, state in one.devices.items()}
    if not states and not readings:
        return
    ids = msgspec.json.encode(list(states.keys() | {reading.device for reading in readings})).decode()
    devices: dict[str, int] = dict(
        connection.execute("select id, key from devices where id in (select value from json_each(?))", (ids,))
    )
    metrics = _metrics(connection, {reading.metric for reading in readings})
    connection.executemany(
        "insert into device_states values (?, ?) on conflict (device) do update set state = excluded.state",
        [(devices[id_], encode_blob(state)) for id_, state in states.items() if id_ in devices],
    )
    connection.executemany(
        "insert into history (device, time_us, metric, kind, value) values (?, ?, ?, ?, ?) on conflict do nothing",
        [
            (devices[one.device], one.time_us, metrics[one.metric], *stored_value(one.value))
            for one in readings
            if one.device in devices
        ],
    )


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
