"""What must hold once everything is quiet, whatever went wrong before."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from iot_system.adapters.blobs import decode_numbers
from iot_system.domain.events import EVENTS
from iot_system.domain.twin import DeviceState, RoomState

from tests.harness.ledger import Entry, Ledger
from tests.simulation.cluster import Cluster
from tests.simulation.devices import Device

_HISTORY = """
select d.id, d.room, m.name, h.time_us, h.value from history h
join devices d on d.key = h.device join metrics m on m.key = h.metric order by d.id, h.time_us, m.name
"""


class Row(NamedTuple):
    """One reading of the history."""

    device: str
    room: str | None
    metric: str
    time_us: int
    value: Any


def is_settled(cluster: Cluster) -> bool:
    """Whether everything that was stored is applied, and what actors tell each other has arrived."""
    connection, log = cluster.store.connection, cluster.broker.log
    if cluster.loop.time() < cluster.network.late_until_s:
        return False
    for place in cluster.gateways:
        if place.current is None or any(writer._queued for writer in place.current._intake._writers):
            return False
    newest = {one.partition: one.sequence for one in log.ever}
    applied, sent, received = {}, {}, {}
    for number, *numbers in connection.execute("select number, applied, sent, received from partitions"):
        applied[number], sent[number], received[number] = numbers[0], *map(decode_numbers, numbers[1:])
    return all(applied.get(number, 0) >= sequence for number, sequence in newest.items()) and all(
        received.get(target, {}).get(source, 0) == number
        for source, targets in sent.items()
        for target, number in targets.items()
        if target != EVENTS
    )


def broken(cluster: Cluster, ledger: Ledger, devices: Sequence[Device]) -> list[str]:
    """A sentence for each invariant that does not hold."""
    rows = [Row(*row) for row in cluster.store.connection.execute(_HISTORY)]
    return [
        *cluster.store.wrong,
        *_history(rows, ledger),
        *_order(cluster, devices),
        *_twins(rows, cluster),
        *_rooms(rows, cluster),
    ]


def _history(rows: Sequence[Row], ledger: Ledger) -> Iterator[str]:
    findings = ledger.compare(iter(_entries(rows)))
    for kind, found in findings.kinds().items():
        for one in found:
            told = f"{one.metric} of message {one.ts} of {one.device}" if isinstance(one, Entry) else one
            yield f"{kind}: {told}"


def _entries(rows: Sequence[Row]) -> list[Entry]:
    """By the number of the message, which every message bears as ``n``."""
    numbers = {(row.device, row.time_us): row.value for row in rows if row.metric == "n"}
    return [Entry(row.device, row.metric, numbers.get((row.device, row.time_us), -1), row.value) for row in rows]


def _order(cluster: Cluster, devices: Sequence[Device]) -> Iterator[str]:
    for device in devices:
        applied = cluster.store.applied_messages.get(device.id, [])
        places = {number: place for place, number in reversed(list(enumerate(applied)))}
        for before, after in sorted(device.orders):
            if places.get(before, 0) > places.get(after, len(applied)):
                yield f"out of order: message {after} of {device.id} was applied before message {before}"


def _twins(rows: Sequence[Row], cluster: Cluster) -> Iterator[str]:
    newest: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in rows:  # by time
        newest[row.device][row.metric] = row.value
    states = cluster.store.connection.execute(
        "select d.id, s.state from device_states s join devices d on d.key = s.device order by d.id"
    )
    seen = {id_: msgspec.msgpack.decode(state, type=DeviceState).values for id_, state in states}
    for device, values in newest.items():
        if seen.get(device) != values:
            yield f"the twin of {device} has {seen.get(device)}; the newest rows are {values}"


def _rooms(rows: Sequence[Row], cluster: Cluster) -> Iterator[str]:
    by_room: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.room is not None:
            by_room[row.room][row.metric].append(row)
    states = dict(cluster.store.connection.execute("select id, state from rooms order by id"))
    for room, metrics in by_room.items():
        state = msgspec.msgpack.decode(states[room], type=RoomState) if room in states else RoomState()
        for metric, of_metric in metrics.items():
            values = [row.value for row in of_metric]
            expected = {
                "count": len(values),
                "sum": sum(values),
                "min": min(values),
                "max": max(values),
                "last": max(row.time_us for row in of_metric),
            }
            one = state.metrics.get(metric)
            seen = one and {
                "count": one.count,
                "sum": one.sum,
                "min": one.min,
                "max": one.max,
                "last": one.last.time_us,
            }
            if seen != expected:
                yield f"room {room} has for {metric} {json.dumps(seen)}; its rows say {json.dumps(expected)}"
