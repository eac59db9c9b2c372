"""The store: the only truth. Each write of a partition's owner is one transaction, guarded by the epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from iot_system.domain.access import Scope
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command, CommandStatus
from iot_system.domain.history import Bucket, HistoryQuery, Reading, Stretch
from iot_system.domain.questions import Failure
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import ApiToken, AuditEntry, Credential, Device, DeviceAccess, Page, Room
from iot_system.domain.twin import DeviceState, RoomState

FAILURES_KEPT = 20
"""Of one actor, the newest."""
COMMANDS_KEPT_DAYS = 30
"""A command that is at its end is forgotten so long after it."""
AUDIT_KEPT_DAYS = 365


class OutboxMessage(msgspec.Struct, frozen=True):
    """What is to be published after its commit, the ``number``-th from its source to ``target`` (from 1, no gaps).

    ``data`` is an encoded `ActorFrame` for partition ``target``, or events where that is
    `iot_system.domain.events.EVENTS`.
    """

    target: int
    number: int
    data: bytes


class Claim(msgspec.Struct, frozen=True):
    """A partition as its new owner takes it over.

    ``revision`` numbers the last commit (0: none yet), ``applied`` is the stream sequence of the last committed frame;
    ``received`` the last number per source partition, ``sent`` the last number per target; ``outbox`` what may not
    have been published yet, in the order of its numbers. ``timers`` is when actors are due (µs since 1970), and
    ``connections`` names the devices that are connected, by gateway.
    """

    partition: int
    epoch: int
    revision: int
    applied: int
    received: Mapping[int, int]
    sent: Mapping[int, int]
    outbox: Sequence[OutboxMessage]
    timers: Mapping[Address, int] = {}
    connections: Mapping[str, Sequence[str]] = {}


class PartitionCommit(msgspec.Struct, kw_only=True):
    """What one turn changed in one partition: by frames, by users, by time.

    ``revision`` is one more than that of the commit before, ``applied`` the stream sequence of the last frame that was
    taken in, the same as before where there was none. ``readings`` are messages, of which only what is new by the
    owner's knowledge is left (see `Store.known`). ``received`` and ``sent``, the last numbers by partition, and
    ``outbox`` hold what changed only; not all that was sent is in the outbox. ``published`` names, per target, the
    outbox number through which all is published. ``timers`` and ``connections`` map to None where there is none any
    more; ``connections`` holds the gateway. States may be encoded already (MessagePack). What is removed in a commit is
    removed after everything else in it.
    """

    partition: int
    epoch: int
    revision: int
    applied: int
    readings: list[Telemetry] = []
    devices: Mapping[str, DeviceState | msgspec.Raw] = {}
    rooms: Mapping[str, RoomState | msgspec.Raw] = {}
    received: dict[int, int] = {}
    sent: dict[int, int] = {}
    outbox: list[OutboxMessage] = []
    published: dict[int, int] = {}
    commands: list[Command] = []
    timers: dict[Address, int | None] = {}
    connections: dict[str, str | None] = {}
    failures: list[Failure] = []
    registered_devices: list[Device] = []
    registered_rooms: list[Room] = []
    removed: list[Address] = []
    audit: list[AuditEntry] = []


class Guard(msgspec.Struct, frozen=True):
    """The owner's proof for a write outside its commits: raises `Fenced` where ``epoch`` is not the newest."""

    partition: int
    epoch: int


class Store(Protocol):
    """Contract of all stores. Every method may raise `Unavailable`; writes raise `Fenced` for an old epoch.

    Pages begin behind ``cursor``, which is one that an earlier page gave; another raises `InvalidInput`.
    """

    async def start(self) -> None:
        """Connect; returns when the database answers and has this version's schema, else raises `Unavailable`."""
        ...

    async def stop(self) -> None:
        """Close; idempotent."""
        ...

    async def claim(self, partitions: Iterable[int], owner: str, stream: str) -> dict[int, Claim]:
        """Take partitions over: each gets the next epoch, so that every earlier owner's writes fail from here on.

        ``stream`` is the identity of the stream whose sequences are meant. Where the partition was last claimed with
        another one (the stream was lost and made anew), ``applied`` begins again at 0.
        """
        ...

    async def commit(self, commits: Sequence[PartitionCommit]) -> None:
        """Write all of ``commits`` in one transaction, or nothing.

        Idempotent: the same commit again (after an answer that got lost) changes nothing. Raises `Fenced` with the
        partitions that a newer epoch owns, `Conflict` where a revision was left out. What belongs to devices that are
        not registered (any more) is left out.
        """
        ...

    async def check(self, guards: Sequence[Guard]) -> None:
        """Raises `Fenced` with the partitions that a newer epoch owns: what their old owner knows may be outdated."""
        ...

    async def known(self, readings: Iterable[Reading]) -> set[tuple[str, str, int]]:
        """Return which ``(device, metric, time_us)`` of ``readings`` are in the history already."""
        ...

    async def applied(self, stream: str) -> dict[int, int]:
        """The committed sequence of every partition that was ever claimed; 0 where that was with another stream."""
        ...

    async def load_devices(self, ids: Sequence[str]) -> dict[str, tuple[Device, DeviceState, list[Command]]]:
        """Registered devices among ``ids`` with their states (a fresh one where nothing was heard yet) and those of
        their commands that are not at their end, in the order of their creation."""
        ...

    async def load_rooms(self, ids: Sequence[str]) -> dict[str, tuple[Room, RoomState]]:
        """Rooms among ``ids`` that are registered or were heard of; what there is not is as at first."""
        ...

    async def add_credential(self, guard: Guard, credential: Credential, audit: AuditEntry | None = None) -> None:
        """Raises `NotFound` where the device is not registered; one that is there already stays as it is."""
        ...

    async def delete_credential(
        self, guard: Guard, device: str, credential: str, audit: AuditEntry | None = None
    ) -> None:
        """Raises `NotFound`."""
        ...

    async def access(self, ids: Sequence[str]) -> list[DeviceAccess]:
        """Registration and credentials of those ``ids`` that are registered."""
        ...

    async def list_devices(
        self, *, room: str | None, label: str | None, limit: int, cursor: str | None, scopes: Sequence[Scope] = ()
    ) -> Page:
        """Devices by id; ``label`` is ``name=value``; with ``scopes`` only those that are in one of them."""
        ...

    async def members(self, room: str, *, limit: int) -> list[str]:
        """Ids of the devices that are registered in a room, the first by their order."""
        ...

    async def list_rooms(self, *, limit: int, cursor: str | None, scopes: Sequence[Scope] = ()) -> Page:
        """Rooms by id, those that are registered and those that were only heard of; scopes as for devices."""
        ...

    async def commands(self, keys: Sequence[tuple[str, str]]) -> list[Command]:
        """Those of ``keys`` (device, id) that there are, as they were last committed."""
        ...

    async def list_commands(
        self, device: str, *, status: CommandStatus | Literal["pending"] | None, limit: int, cursor: str | None
    ) -> Page:
        """Commands of a device, the newest first; ``pending`` are those not at their end, the oldest first."""
        ...

    async def room_command(self, room: str, id_: str) -> list[Command]:
        """What became of a room's command at each device, by device."""
        ...

    async def failures(self, actor: Address) -> list[Failure]:
        """The newest `FAILURES_KEPT`, the newest first."""
        ...

    async def tokens(self, ids: Sequence[str]) -> list[ApiToken]:
        """Those among ``ids`` that exist."""
        ...

    async def put_token(self, token: ApiToken, audit: AuditEntry | None = None) -> None:
        """One that is there already stays as it is."""
        ...

    async def delete_token(self, id_: str, audit: AuditEntry | None = None) -> None:
        """Raises `NotFound`."""
        ...

    async def list_tokens(self, *, limit: int, cursor: str | None) -> Page:
        """Tokens by id."""
        ...

    async def list_audit(self, *, target: str | None, by: str | None, limit: int, cursor: str | None) -> Page:
        """Audit entries, the newest first."""
        ...

    async def readings(self, query: HistoryQuery) -> Stretch[Reading]:
        """Readings in their order. An unknown device has none."""
        ...

    async def buckets(self, query: HistoryQuery) -> Stretch[Bucket]:
        """Down-sampled buckets, computed by the database. Raises `InvalidInput` where a sum is beyond all numbers."""
        ...

    async def maintain(self, *, now_us: int, retention_days: int) -> None:
        """Prepare what the coming days need, and forget what is old.

        History after ``retention_days`` whole days (0: never), commands after `COMMANDS_KEPT_DAYS`, the audit after
        `AUDIT_KEPT_DAYS`.
        """
        ...

    async def unarchived_s(self) -> float:
        """For how many seconds what is written could not be archived; 0 while it can, or without an archive."""
        ...


__all__ = ["Claim", "Guard", "OutboxMessage", "PartitionCommit", "Store"]
