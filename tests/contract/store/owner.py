"""The owner of one partition, who counts positions as a shard does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from iot_system.domain.addresses import Address
from iot_system.domain.history import Reading
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device
from iot_system.ports.store import Claim, Guard, PartitionCommit, Store
from msgspec import structs

STREAM = "stream-1"


class Owner:
    """Each commit is of one more frame."""

    def __init__(self, store: Store, claim: Claim) -> None:
        self.store = store
        self.claim = claim
        self.position = claim.applied
        self.revision = claim.revision

    @classmethod
    async def of(cls, store: Store, partition: int = 0, *, name: str = "owner", stream: str = STREAM) -> Self:
        """Claims ``partition``."""
        return cls(store, (await store.claim([partition], name, stream))[partition])

    @property
    def guard(self) -> Guard:
        """For writes outside its commits."""
        return Guard(self.claim.partition, self.claim.epoch)

    def frame(self, readings: Iterable[Reading] = (), **changes: Any) -> PartitionCommit:
        """The commit of the next frame."""
        sent = {message.target: message.number for message in changes.get("outbox", ())}
        return PartitionCommit(
            partition=self.claim.partition,
            epoch=self.claim.epoch,
            revision=self.revision + 1,
            applied=self.position + 1,
            readings=_messages(readings),
            **({"sent": sent} | changes),
        )

    async def commit(self, readings: Iterable[Reading] = (), **changes: Any) -> PartitionCommit:
        """Commit the next frame."""
        commit = self.frame(readings, **changes)
        await self.store.commit([commit])
        self.took(commit)
        return commit

    def took(self, commit: PartitionCommit) -> None:
        """The next one follows ``commit``."""
        self.position, self.revision = commit.applied, commit.revision

    async def change(self, **changes: Any) -> PartitionCommit:
        """Commit what a user changed: no frame."""
        commit = structs.replace(self.frame(**changes), applied=self.position)
        await self.store.commit([commit])
        self.took(commit)
        return commit

    async def register(self, *ids: str, **fields: Any) -> None:
        """Devices without anything else than ``fields``."""
        await self.change(registered_devices=[Device(id=id_, **fields) for id_ in ids])

    async def remove(self, *actors: Address) -> None:
        """Forget them."""
        await self.change(removed=list(actors))


def _messages(readings: Iterable[Reading]) -> list[Telemetry]:
    """One for those that follow each other, of one device and time."""
    messages: list[Telemetry] = []
    for one in readings:
        last = messages[-1] if messages else None
        if last and (last.device, last.time_us) == (one.device, one.time_us) and one.metric not in last.values:
            last.values[one.metric] = one.value
        else:
            messages.append(Telemetry(one.device, one.time_us, {one.metric: one.value}))
    return messages
