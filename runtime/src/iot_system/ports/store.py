"""The store: the only truth. Each write of a partition's owner is one transaction, guarded by the epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from iot_system.domain.history import Bucket, HistoryQuery, Reading, Stretch
from iot_system.domain.registry import Credential, Device, DeviceAccess, Page
from iot_system.domain.twin import DeviceState, RoomState


class OutboxMessage(msgspec.Struct, frozen=True):
    """An encoded `ActorFrame` for partition ``target``, the ``number``-th from its source (from 1, without gaps)."""

    target: int
    number: int
    data: bytes


class Claim(msgspec.Struct, frozen=True):
    """A partition as its new owner takes it over.

    ``applied`` is the stream sequence of the last committed frame (0: none yet); ``received`` the last number per
    source partition, ``sent`` the last number per target partition; ``outbox`` what may not have been published yet,
    in the order of its numbers.
    """

    partition: int
    epoch: int
    applied: int
    received: Mapping[int, int]
    sent: Mapping[int, int]
    outbox: Sequence[OutboxMessage]


class PartitionCommit(msgspec.Struct, kw_only=True):
    """What one or more frames changed in one partition.

    ``before`` and ``applied`` are the stream sequences of the last frame committed earlier and now. ``readings`` are
    new by the owner's knowledge (see `Store.known`). ``received`` and ``outbox`` hold what changed only;
    ``published`` names, per target, the outbox number through which the broker has everything.
    """

    partition: int
    epoch: int
    before: int
    applied: int
    readings: list[Reading] = []
    devices: dict[str, DeviceState] = {}
    rooms: dict[str, RoomState] = {}
    received: dict[int, int] = {}
    outbox: list[OutboxMessage] = []
    published: dict[int, int] = {}


class Guard(msgspec.Struct, frozen=True):
    """The owner's proof for a write outside the stream: raises `Fenced` where ``epoch`` is not the newest."""

    partition: int
    epoch: int


class Store(Protocol):
    """Contract of all stores. Every method may raise `Unavailable`; writes raise `Fenced` for an old epoch."""

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
        partitions that a newer epoch owns. Readings of devices that are no longer registered are left out.
        """
        ...

    async def known(self, readings: Iterable[Reading]) -> set[tuple[str, str, int]]:
        """Return which ``(device, metric, time_us)`` of ``readings`` are in the history already."""
        ...

    async def applied(self, stream: str) -> dict[int, int]:
        """The committed sequence of every partition that was ever claimed; 0 where that was with another stream."""
        ...

    async def load_devices(self, ids: Sequence[str]) -> dict[str, tuple[Device, DeviceState]]:
        """Registered devices among ``ids`` with their states (a fresh one where nothing was heard yet)."""
        ...

    async def load_rooms(self, ids: Sequence[str]) -> dict[str, RoomState]:
        """Known rooms among ``ids``."""
        ...

    async def put_devices(self, guard: Guard, devices: Sequence[Device]) -> list[str]:
        """Register new devices of one partition; returns the ids that existed already, which stay as they were."""
        ...

    async def save_device(self, guard: Guard, device: Device) -> None:
        """Overwrite a registration. Raises `NotFound`."""
        ...

    async def delete_device(self, guard: Guard, id_: str) -> None:
        """Remove a device, its credentials, state and history. Raises `NotFound`."""
        ...

    async def add_credential(self, guard: Guard, credential: Credential) -> None:
        """Raises `NotFound` where the device is not registered."""
        ...

    async def delete_credential(self, guard: Guard, device: str, credential: str) -> None:
        """Raises `NotFound`."""
        ...

    async def access(self, ids: Sequence[str]) -> list[DeviceAccess]:
        """Registration and credentials of those ``ids`` that are registered."""
        ...

    async def list_devices(self, *, room: str | None, label: str | None, limit: int, cursor: str | None) -> Page:
        """Devices by id, from behind ``cursor`` (the last id seen); ``label`` is ``name=value``."""
        ...

    async def list_rooms(self, *, limit: int, cursor: str | None) -> Page:
        """Ids of known rooms in their order, from behind ``cursor``."""
        ...

    async def readings(self, query: HistoryQuery) -> Stretch[Reading]:
        """Readings in their order. An unknown device has none."""
        ...

    async def buckets(self, query: HistoryQuery) -> Stretch[Bucket]:
        """Down-sampled buckets, computed by the database. Raises `InvalidInput` where a sum is beyond all numbers."""
        ...

    async def maintain(self, *, now_us: int, retention_days: int) -> None:
        """Prepare what the coming days need, and drop history older than ``retention_days`` whole days (0: keep)."""
        ...


__all__ = ["Claim", "Guard", "OutboxMessage", "PartitionCommit", "Store"]
