"""A partition as its owner holds it: the claim, and the actors in memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from iot_system.actors.device import DeviceActor
from iot_system.actors.partition import PartitionActors
from iot_system.actors.room import RoomActor
from iot_system.domain.ids import partition_of
from iot_system.domain.twin import RoomState
from iot_system.errors import Unavailable
from iot_system.ports.store import Claim, Guard, Store


class NotOwned(Unavailable):
    """The partition has moved to another shard."""


class Partition:
    """``applied`` is the stream sequence that the store has committed."""

    def __init__(self, claim: Claim, *, of: int) -> None:
        self.number = claim.partition
        self.epoch = claim.epoch
        self.applied = claim.applied
        self.last_error: str | None = None
        self.actors = PartitionActors(
            claim.partition,
            received=dict(claim.received),
            sent=dict(claim.sent),
            partition_of=partial(partition_of, partitions=of),
        )

    @property
    def guard(self) -> Guard:
        """The proof for writes outside the stream."""
        return Guard(self.number, self.epoch)

    async def device(self, id_: str, store: Store) -> DeviceActor | None:
        """A device's actor, activated if need be; None where it is not registered."""
        if id_ not in self.actors.devices:
            for device, state in (await store.load_devices([id_])).values():
                self.actors.activate_device(device, state)
        return self.actors.devices.get(id_)

    async def room(self, id_: str, store: Store) -> RoomActor | None:
        """A room's actor, activated if need be; None where nothing was heard of it."""
        if id_ not in self.actors.rooms:
            for room, state in (await store.load_rooms([id_])).items():
                self.actors.activate_room(room, state)
        return self.actors.rooms.get(id_)

    async def activate(self, devices: Sequence[str], rooms: Sequence[str], store: Store) -> None:
        """Bring everybody whom a batch needs into memory; a room nothing was heard of begins empty."""
        if missing := [id_ for id_ in devices if id_ not in self.actors.devices]:
            for device, state in (await store.load_devices(missing)).values():
                self.actors.activate_device(device, state)
        if missing := [id_ for id_ in rooms if id_ not in self.actors.rooms]:
            known = await store.load_rooms(missing)
            for id_ in missing:
                self.actors.activate_room(id_, known.get(id_) or RoomState())
