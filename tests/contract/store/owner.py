"""The owner of one partition, who counts positions as a shard does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from iot_system.domain.history import Reading
from iot_system.domain.registry import Device
from iot_system.ports.store import Claim, Guard, PartitionCommit, Store

STREAM = "stream-1"


class Owner:
    """Each commit is of one more frame."""

    def __init__(self, store: Store, claim: Claim) -> None:
        self.store = store
        self.claim = claim
        self.position = claim.applied

    @classmethod
    async def of(cls, store: Store, partition: int = 0, *, name: str = "owner", stream: str = STREAM) -> Self:
        """Claims ``partition``."""
        return cls(store, (await store.claim([partition], name, stream))[partition])

    @property
    def guard(self) -> Guard:
        """For writes outside the stream."""
        return Guard(self.claim.partition, self.claim.epoch)

    def frame(self, readings: Iterable[Reading] = (), **changes: Any) -> PartitionCommit:
        """The commit of the next frame."""
        return PartitionCommit(
            partition=self.claim.partition,
            epoch=self.claim.epoch,
            before=self.position,
            applied=self.position + 1,
            readings=list(readings),
            **changes,
        )

    async def commit(self, readings: Iterable[Reading] = (), **changes: Any) -> PartitionCommit:
        """Commit the next frame."""
        commit = self.frame(readings, **changes)
        await self.store.commit([commit])
        self.position = commit.applied
        return commit

    async def register(self, *ids: str, **fields: Any) -> list[str]:
        """Devices without anything else than ``fields``; returns those that existed."""
        return await self.store.put_devices(self.guard, [Device(id=id_, **fields) for id_ in ids])
