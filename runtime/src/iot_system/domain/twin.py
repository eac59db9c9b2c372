"""State of devices and rooms, as their actors hold it and the store keeps it; and how large it may become."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from iot_system.domain.nothing import NOTHING
from iot_system.domain.readings import Value

STATE_LIMIT = 64 * 1024
"""Bytes as JSON that reported state, desired state and a behaviour's memory may have, each."""
LATEST_LIMIT = 1024 * 1024
"""Bytes that the longer texts and the objects among the newest values of one actor may have."""
SHORT_TEXT = 1024
"""Characters of a text that is not worth counting."""
CONNECTIONS_LIMIT = 4
"""Connections of one device that are remembered, the newest."""
TIMERS_LIMIT = 64
"""Timers of one actor."""
FAN_OUT_LIMIT = 32 * 1024 * 1024
"""Bytes as JSON that one change of a room may bring to all its devices together."""
MEMBERS_LIMIT = 10_000
"""Devices that a room keeps apart."""
ROOM_METRICS_LIMIT = 1_024
"""Metrics that a room aggregates."""


class Latest(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest value of a metric by its own timestamp."""

    time_us: int
    value: Value


class Connection(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How a device is connected now: see `iot_system.domain.signals.Connected`."""

    gateway: str
    connection: str
    since_us: int
    wants_desired: bool
    wants_commands: bool


class Boot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which numbers of one boot of a device were taken, see `iot_system.domain.numbering`."""

    name: str | None
    seq: int
    missing: bytes


class DeviceState(msgspec.Struct, omit_defaults=True, gc=False):
    """Everything a device actor knows; persisted whole with each commit that changes it."""

    values: dict[str, Value] = NOTHING
    """The newest of each metric. Never changed in place: where a message bore all of them, they are the message's."""
    times: int | dict[str, int] = -1
    """When (µs since 1970): of all of them, or of each where they differ."""
    reported: dict[str, Any] = NOTHING
    reported_version: int = 0
    desired: dict[str, Any] = NOTHING
    desired_version: int = 0
    last_seen_us: int = 0
    boot: str | None = None
    seq: int = -1
    """The highest number taken of this boot."""
    recent_ids: tuple[str, ...] = ()
    extra: dict[str, Any] = NOTHING
    """What a behaviour keeps between messages."""
    desired_delivered: int = 0
    """The version of the desired state that the device has acknowledged."""
    desired_sent_us: int = 0
    """When desired state was last sent over the connection."""
    connection: Connection | None = None
    """The one that counts: the newest."""
    beside: tuple[Connection, ...] = ()
    """Others that are there too, the oldest first."""
    left_us: int = 0
    left_reason: str | None = None
    """When and why the last connection ended."""
    timers: dict[str, int] = NOTHING
    """Name → when it is due (µs since 1970)."""
    errors: int = 0
    """How often the behaviour raised, or something was refused that could not be refused to its sender."""
    version: int = 1
    """Of the behaviour that wrote ``extra``."""
    given: int = 0
    """How many commands the behaviour has given: what makes their ids differ."""
    missing: bytes = b""
    """Which numbers below ``seq`` were not taken, see `iot_system.domain.numbering`."""
    former: Boot | None = None
    """The boot before: a copy of what it said may be held up on its way, and come behind what this one says."""
    before: dict[str, Latest] = msgspec.field(default=NOTHING, name="latest")
    """How states were stored that had a time with each value; none is in memory."""

    @property
    def latest(self) -> dict[str, Latest]:
        """The newest of each metric with its time; put together for who asks."""
        return {metric: Latest(time_us, self.values[metric]) for metric, time_us in self.time_of_each().items()}

    @property
    def newest_us(self) -> int:
        """The newest time of all; -1 where there is none."""
        return self.times if isinstance(self.times, int) else max(self.times.values(), default=-1)

    def time_of(self, metric: str) -> int | None:
        """When the newest value of ``metric`` is from."""
        if metric not in self.values:
            return None
        return self.times if isinstance(self.times, int) else self.times[metric]

    def time_of_each(self) -> dict[str, int]:
        """By metric; the caller's own."""
        return dict.fromkeys(self.values, self.times) if isinstance(self.times, int) else dict(self.times)

    def keep(self, values: dict[str, Value], times: dict[str, int]) -> None:
        """These are the newest from now on; both have the same metrics."""
        all_times = set(times.values())
        self.values, self.times = values, times if len(all_times) > 1 else max(all_times, default=-1)


class Aggregate(msgspec.Struct, omit_defaults=True, gc=False):
    """One metric of a room over all readings of its devices; ``min``, ``max`` and ``sum`` are of the numbers."""

    last: Latest
    device: str
    count: int = 0
    numbers: int = 0
    min: float | None = None
    max: float | None = None
    sum: float = 0.0

    @property
    def avg(self) -> float | None:
        """The mean of all numbers, or None before the first."""
        return self.sum / self.numbers if self.numbers else None


class RoomState(msgspec.Struct, omit_defaults=True, gc=False):
    """Everything a room actor knows: aggregates per metric, and when each member was last heard of (µs; 0: never)."""

    metrics: dict[str, Aggregate] = {}
    members: dict[str, int] = {}
    desired: dict[str, Any] = NOTHING
    desired_version: int = 0
    extra: dict[str, Any] = NOTHING
    timers: dict[str, int] = NOTHING
    errors: int = 0
    version: int = 1
    given: int = 0


def takes_value(kept: Iterable[tuple[str, Value]], metric: str, value: Value) -> bool:
    """Whether the newest values stay within `LATEST_LIMIT` once ``metric`` has this one; ``kept`` are those now."""
    if _is_short(value):
        return True
    others = sum(_size(other) for name, other in kept if name != metric and not _is_short(other))
    return others + _size(value) <= LATEST_LIMIT


def _is_short(value: Value) -> bool:
    return len(value) <= SHORT_TEXT if isinstance(value, str) else isinstance(value, int | float)


def _size(value: Value) -> int:
    return len(msgspec.msgpack.encode(value))
