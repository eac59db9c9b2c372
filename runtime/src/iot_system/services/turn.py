"""What one turn of a shard does: something comes in, actors change, and each partition has a share in the commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Raw
from msgspec.msgpack import encode

from iot_system.actors.changes import Changes
from iot_system.domain.addresses import Address
from iot_system.domain.registry import AuditEntry, Device, Room
from iot_system.ports.store import OutboxMessage, PartitionCommit, Store
from iot_system.services.partition import Partition


class Share:
    """What changes in one partition; ``applied`` is the stream sequence that it comes to."""

    def __init__(self, partition: Partition, changes: Changes, *, applied: int | None = None) -> None:
        self.partition = partition
        self.changes = changes
        self.applied = partition.sealed_applied if applied is None else applied
        self.registered_devices: list[Device] = []
        self.registered_rooms: list[Room] = []
        self.removed: list[Address] = []
        self.bound: set[int] = set()
        """Partitions that gave it something within the same commit, or that got something from it."""
        self.audit: list[AuditEntry] = []

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to commit."""
        changes = self.changes
        return bool(
            self.applied != self.partition.sealed_applied
            or changes.devices
            or changes.rooms
            or changes.commands
            or changes.connections
            or changes.events
            or changes.messages
            or changes.failures
            or changes.rescheduled
            or self.registered_devices
            or self.registered_rooms
            or self.removed
            or self.audit
        )

    def seal(self) -> PartitionCommit:
        """Number what leaves, and give what is to be written; once, after all changes."""
        partition, changes = self.partition, self.changes
        partition.actors.seal(changes)
        partition.sealed_revision += 1
        partition.sealed_applied = self.applied
        return PartitionCommit(
            partition=partition.number,
            epoch=partition.epoch,
            revision=partition.sealed_revision,
            applied=self.applied,
            readings=changes.readings,
            devices=changes.devices,
            rooms=changes.rooms,
            received=changes.received,
            sent=changes.sent,
            outbox=[OutboxMessage(*message) for message in changes.outbox],
            commands=list(changes.commands.values()),
            timers=changes.timers,
            connections={id_: one.gateway if one else None for id_, one in changes.connections.items()},
            failures=changes.failures,
            registered_devices=self.registered_devices,
            registered_rooms=self.registered_rooms,
            removed=self.removed,
            audit=self.audit,
        )


class Loaded(Protocol):
    """Something to do in one turn, once what it needs is in memory."""

    @property
    def partitions(self) -> Sequence[int]:
        """Whose actors it may change."""
        ...

    async def load(self, store: Store) -> None:
        """Bring what it needs into memory; may be called again after `iot_system.errors.Unavailable`."""
        ...


class Work(Loaded, Protocol):
    """What is little, and done in one go."""

    def apply(self) -> list[Share]:
        """Let the actors change; nothing here waits."""
        ...


class SteppedWork(Loaded, Protocol):
    """What is much, so that the event loop has its turn between its steps; `load` is called first."""

    @property
    def asks_history(self) -> bool:
        """Whether it must know what the history has already."""
        ...

    async def look_up(self, store: Store) -> None:
        """Ask for that, once all that came before is in the store; may be called again, as `load`."""
        ...

    def steps(self) -> Iterator[None]:
        """Let the actors change, step by step; `shares` is complete afterwards."""
        ...

    shares: list[Share]

    def committed(self) -> None:
        """It is in the store."""
        ...


def freeze(commit: PartitionCommit) -> None:
    """Encode the states in ``commit`` as they are now: actors go on before the store has them."""
    commit.devices = {id_: Raw(encode(state)) for id_, state in commit.devices.items()}
    commit.rooms = {id_: Raw(encode(state)) for id_, state in commit.rooms.items()}
