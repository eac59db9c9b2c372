"""What the system answers, as frozen values. Times are milliseconds since 1970 (UTC), as in the interface."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from iot_system.domain.access import Role
from iot_system.domain.commands import FINAL, CommandStatus
from iot_system.domain.events import EventKind

Milliseconds: TypeAlias = int | float


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A registered device. ``gateway`` names the device that may speak for it."""

    id: str
    room: str | None = None
    behaviour: str
    labels: dict[str, str] = {}
    enabled: bool = True
    gateway: str | None = None
    created: Milliseconds
    updated: Milliseconds


class Imported(msgspec.Struct, frozen=True):
    """What an import did: ``existing`` devices were left as they were, ``refused`` tells why by id."""

    created: int
    existing: list[str]
    refused: dict[str, str]


class Credential(msgspec.Struct, frozen=True):
    """One of a device's credentials; its token is told when it is made, and never again."""

    credential: str
    created: Milliseconds


class DeviceToken(msgspec.Struct, frozen=True):
    """A new credential of a device; the system shows ``token`` this once only."""

    credential: str
    device: str
    token: str


class Latest(msgspec.Struct, frozen=True):
    """The newest value of a metric by its own timestamp."""

    ts: Milliseconds
    value: Any


class Versions(msgspec.Struct, frozen=True):
    """Each grows with every change of its part."""

    reported: int
    desired: int


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """A device's state: what it says of itself, what is wanted of it, and its newest readings by metric.

    ``last_seen`` is the newest time known of the device: of a reading (its own ``ts``), or of the arrival of what else
    it said. ``delivered`` is the version of the desired state that the device has confirmed; ``left`` and
    ``left_reason`` tell of the end of its last connection.
    """

    device: str
    room: str | None = None
    reported: dict[str, Any] = {}
    desired: dict[str, Any] = {}
    version: Versions
    delivered: int = 0
    connected: bool = False
    last_seen: Milliseconds | None = None
    left: Milliseconds | None = None
    left_reason: str | None = None
    latest: dict[str, Latest] = {}


class Desired(msgspec.Struct, frozen=True):
    """Desired state as it is now, and its version."""

    desired: dict[str, Any]
    version: int


class Reading(msgspec.Struct, frozen=True):
    """One measured value: a number, text, a bool or JSON."""

    metric: str
    ts: Milliseconds
    value: Any


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Readings of one metric from ``ts`` on for one interval. What was not asked for, or has no numbers, is None."""

    metric: str
    ts: Milliseconds
    avg: float | None = None
    min: float | None = None
    max: float | None = None
    sum: float | None = None
    count: int | None = None
    last: Any = None


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a device, and how far it is.

    ``result`` is the device's answer; ``reason`` says why it failed, expired or was cancelled.
    """

    id: str
    device: str
    name: str
    payload: Any = None
    status: CommandStatus
    created: Milliseconds
    updated: Milliseconds
    expires: Milliseconds
    created_by: str = ""
    room: str | None = None
    result: Any = None
    reason: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not reached its end."""
        return self.status not in FINAL


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """A room; a member that was not heard of for ``stale_after_s`` seconds is stale.

    One that nobody registered, but that devices belong to, has ``created`` 0.
    """

    id: str
    behaviour: str
    labels: dict[str, str] = {}
    stale_after_s: float
    created: Milliseconds
    updated: Milliseconds


class Member(msgspec.Struct, frozen=True):
    """A device of a room; ``last_seen`` is None before its first message to it."""

    last_seen: Milliseconds | None
    stale: bool


class RoomLatest(msgspec.Struct, frozen=True):
    """The newest value of a metric in a room, and whose it is."""

    ts: Milliseconds
    value: Any
    device: str


class RoomMetric(msgspec.Struct, frozen=True):
    """One metric over all readings of a room; min, max and avg are of its numbers, None where it has none."""

    last: RoomLatest
    min: float | None
    max: float | None
    avg: float | None
    count: int


class RoomTwin(msgspec.Struct, frozen=True, kw_only=True):
    """A room's state: its members by id, the aggregates of their readings by metric, and what is wanted."""

    room: str
    members: dict[str, Member]
    metrics: dict[str, RoomMetric]
    desired: dict[str, Any]
    version: int


class RoomCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command to all devices of a room: how far it is at each, and by device why some did not get it."""

    id: str
    room: str
    commands: list[Command]
    refused: dict[str, str] = {}


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A person's or program's token, without itself. ``scopes`` are ``room:ID`` or ``label:name=value``."""

    id: str
    name: str
    role: Role
    scopes: list[str] = []
    created: Milliseconds
    expires: Milliseconds | None = None
    created_by: str = ""


class NewToken(Token, frozen=True, kw_only=True):
    """A new token; the system shows ``token`` this once only."""

    token: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a device or a room: see `iot_system.domain.events.Event` for ``data`` by ``kind``.

    ``id`` is where to resume after it. Besides there are the kinds ``reading`` (``data`` is ``{"values": …}``) and
    ``gap``: what came before could not be told any more.
    """

    id: str
    kind: EventKind | str
    ts: Milliseconds | None = None
    device: str | None = None
    room: str | None = None
    data: dict[str, Any] = {}
