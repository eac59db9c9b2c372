"""The room actor: keeps last, min, max, average and count of its devices' readings. Subclass it for a behaviour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

from iot_system.actors.actor import Actor
from iot_system.actors.effects import Effect
from iot_system.domain.addresses import Address
from iot_system.domain.events import Event, EventKind
from iot_system.domain.history import Reading
from iot_system.domain.readings import Value
from iot_system.domain.registry import Room
from iot_system.domain.twin import MEMBERS_LIMIT, ROOM_METRICS_LIMIT, Aggregate, Latest, RoomState, takes_value

RoomReading: TypeAlias = tuple[str, int, dict[str, Value]]
"""``(device, time_us, values)``."""
_SMALL = frozenset({float, int, bool})


class RoomActor(Actor):
    """One room in memory."""

    __slots__ = ("room",)
    state: RoomState

    def __init__(self, room: Room, state: RoomState) -> None:
        self.room = room
        self.state = state
        self.now_us = 0

    def on_reading(self, device: str, reading: Reading) -> Iterable[Effect] | None:
        """React to one new reading of a device of the room; in order per device, never twice for the same reading."""

    def on_member(self, device: str, joined: bool) -> Iterable[Effect] | None:
        """React to a device that has joined the room, or has left it."""

    @property
    def address(self) -> Address:
        return Address("room", self.room.id)

    def event(self, kind: EventKind, data: dict[str, Any]) -> Event:
        return Event(kind=kind, time_us=self.now_us, room=self.room.id, data=data)

    def due_us(self) -> int | None:
        """When the next timer is due; None: never."""
        return min(self.state.timers.values(), default=None)

    def join(self, device: str) -> bool:
        """Keep a device as a member; False where the room is full."""
        members = self.state.members
        if device not in members and len(members) >= MEMBERS_LIMIT:
            return False
        members.setdefault(device, 0)
        return True

    def leave(self, device: str) -> None:
        """Forget a member."""
        self.state.members.pop(device, None)

    def receive_usual(self, readings: Sequence[RoomReading]) -> bool:
        """Take in at once what is as nearly all is: numbers and bools, by metrics and devices that the room knows.

        False where some are not. Then nothing has changed, and `receive` is for them, one by one.
        """
        aggregates, members = self.state.metrics, self.state.members
        heard: dict[str, int] = {}
        alike: dict[tuple[str, ...], list[dict[str, Value]]] = {}
        for device, time_us, values in readings:
            if time_us > heard.get(device, -1):
                heard[device] = time_us
            alike.setdefault(tuple(values), []).append(values)
        metrics = set[str]().union(*alike)
        if not (members.keys() >= heard.keys() and aggregates.keys() >= metrics):
            return False
        columns = [
            (metric, column, set(map(type, column)))
            for names, those in alike.items()
            for metric, column in zip(names, zip(*[one.values() for one in those], strict=True), strict=True)
        ]
        if not all(kinds <= _SMALL for _, _, kinds in columns):
            return False
        for device, time_us in heard.items():
            members[device] = max(members[device], time_us)
        for metric, column, kinds in columns:
            aggregate = aggregates[metric]
            aggregate.count += len(column)
            _add(aggregate, column if bool not in kinds else [value for value in column if type(value) is not bool])
        by_time = sorted(readings, key=itemgetter(1))
        for device, time_us, values in reversed(by_time):  # of one time, the one that came last counts
            for metric in metrics.intersection(values):
                metrics.remove(metric)
                if time_us >= (aggregate := aggregates[metric]).last.time_us:
                    aggregate.last, aggregate.device = Latest(time_us, values[metric]), device
            if not metrics:
                break
        return True

    def receive(self, device: str, time_us: int, values: dict[str, Value]) -> str | None:
        """Take new readings of one of the room's devices in; returns why some of them do not count, if so."""
        state = self.state
        if (seen_us := state.members.get(device)) is not None:
            state.members[device] = max(time_us, seen_us)
        elif not self.join(device):
            return f"the room has {MEMBERS_LIMIT} devices, the limit; {device!r} does not count"
        else:
            state.members[device] = time_us
        metrics = state.metrics
        refused = None
        for metric, value in values.items():
            aggregate = metrics.get(metric)
            if (aggregate is None or type(value) not in _SMALL) and (why := self._why_not(metric, value)):
                refused = why
                continue
            if aggregate is None:
                aggregate = metrics[metric] = Aggregate(last=Latest(time_us, value), device=device)
            elif time_us >= aggregate.last.time_us:
                aggregate.last, aggregate.device = Latest(time_us, value), device
            aggregate.count += 1
            # By type, which is several times cheaper here than isinstance, and leaves bool out.
            if type(value) is float or type(value) is int:
                _add(aggregate, (value,))
        return refused

    def _why_not(self, metric: str, value: Value) -> str | None:
        metrics = self.state.metrics
        if metric not in metrics and len(metrics) >= ROOM_METRICS_LIMIT:
            return f"metric {metric!r} would be one more than {ROOM_METRICS_LIMIT}, the limit of a room"
        if not takes_value(((name, one.last.value) for name, one in metrics.items()), metric, value):
            return f"the newest texts and objects of the room would be too large with metric {metric!r}"
        return None


def _add(aggregate: Aggregate, numbers: Sequence[Any]) -> None:
    """Numbers without bools."""
    if not numbers:
        return
    aggregate.numbers += len(numbers)
    aggregate.sum = sum(numbers, aggregate.sum)
    least, most = min(numbers), max(numbers)
    if aggregate.min is None or least < aggregate.min:
        aggregate.min = least
    if aggregate.max is None or most > aggregate.max:
        aggregate.max = most
