"""A partition as its owner holds it: the claim, and the actors in memory."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from iot_system.actors.device import DeviceActor
from iot_system.actors.partition import PartitionActors
from iot_system.actors.room import RoomActor
from iot_system.domain.ids import partition_of
from iot_system.errors import Unavailable
from iot_system.ports.store import Claim, Guard, Store


class NotOwned(Unavailable):
    """The partition has moved to another shard."""


class Partition:
    """One ``of`` so many.

    ``revision`` and ``applied`` are of the last commit: its number, and the stream sequence that it came to.
    ``sealed_revision`` and ``sealed_applied`` are of what the actors have come to, and may be on its way to the store.
    """

    def __init__(self, claim: Claim, *, of: int) -> None:
        self.number = claim.partition
        self.of = of
        self.epoch = claim.epoch
        self.revision = self.sealed_revision = claim.revision
        self.applied = self.sealed_applied = claim.applied
        self.last_error: str | None = None
        self.actors = PartitionActors(
            claim.partition,
            received=dict(claim.received),
            sent=dict(claim.sent),
            partition_of=partial(partition_of, partitions=of),
            timers=claim.timers,
            connections=claim.connections,
        )

    @property
    def guard(self) -> Guard:
        """The proof for writes outside its commits."""
        return Guard(self.number, self.epoch)

    async def device(self, id_: str, store: Store) -> DeviceActor | None:
        """A device's actor, activated if need be; None where it is not registered."""
        await self.activate([id_], [], store)
        return self.actors.devices.get(id_)

    async def room(self, id_: str, store: Store) -> RoomActor | None:
        """A room's actor, activated if need be; None where nobody registered it or was heard of in it."""
        await self.activate([], [id_], store)
        return self.actors.rooms.get(id_)

    async def activate(self, devices: Collection[str], rooms: Collection[str], store: Store) -> None:
        """Bring into memory whom the store knows of these."""
        actors = self.actors
        if missing := [id_ for id_ in devices if id_ not in actors.devices]:
            for found in (await store.load_devices(missing)).values():
                actors.activate_device(*found)
        if missing := [id_ for id_ in rooms if id_ not in actors.rooms]:
            for room, state in (await store.load_rooms(missing)).values():
                actors.activate_room(room, state)
