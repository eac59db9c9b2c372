"""State of devices and rooms, as their actors hold it and the store keeps it."""

from __future__ import annotations

from typing import Any

import msgspec

from iot_system.domain.readings import Value


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


class DeviceState(msgspec.Struct, omit_defaults=True, gc=False):
    """Everything a device actor knows; persisted whole with each commit that changes it."""

    latest: dict[str, Latest] = {}
    reported: dict[str, Any] = {}
    reported_version: int = 0
    desired: dict[str, Any] = {}
    desired_version: int = 0
    last_seen_us: int = 0
    boot: str | None = None
    seq: int = -1
    recent_ids: tuple[str, ...] = ()
    extra: dict[str, Any] = {}
    """What a behaviour keeps between messages."""
    desired_delivered: int = 0
    """The version of the desired state that the device has acknowledged."""
    connection: Connection | None = None
    left_us: int = 0
    left_reason: str | None = None
    """When and why the last connection ended."""
    timers: dict[str, int] = {}
    """Name → when it is due (µs since 1970)."""
    errors: int = 0
    """How often the behaviour raised."""


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
    desired: dict[str, Any] = {}
    desired_version: int = 0
    extra: dict[str, Any] = {}
    timers: dict[str, int] = {}
    errors: int = 0
