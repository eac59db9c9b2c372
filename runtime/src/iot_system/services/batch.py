"""The frames that came in together: what they need in memory, and what they change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import perf_counter

import msgspec
import structlog

from iot_system.actors.changes import Changes
from iot_system.actors.routing import addressed
from iot_system.actors.stored import Stored
from iot_system.domain.frames import ActorFrame, DeviceFrame, Frame, decode_frame
from iot_system.domain.history import Reading
from iot_system.domain.ids import partition_of
from iot_system.domain.registry import Room
from iot_system.domain.twin import RoomState
from iot_system.ports.store import Store
from iot_system.ports.stream import StreamMessage
from iot_system.services.partition import Partition
from iot_system.services.shard_metrics import APPLIED, APPLY_SECONDS, BROKEN_FRAMES, ORPHANS
from iot_system.services.turn import Share
from iot_system.services.within import hand_over

log = structlog.get_logger()


class Batch:
    """Implements `iot_system.services.turn.SteppedWork` for frames of some partitions."""

    def __init__(
        self, messages: list[StreamMessage], owned: Mapping[int, Partition], *, now_us: int, listening: bool = False
    ) -> None:
        self._now_us = now_us
        self._listening = listening
        self._owned = owned
        self._partitions: dict[int, Partition] = {}
        self._frames: dict[int, list[Frame]] = {}
        self._applied: dict[int, int] = {}
        self._late: list[Reading] = []
        self._stored = Stored()
        self._began_s = perf_counter()
        self.telemetry = 0
        self.shares: list[Share] = []
        for message in messages:
            partition = owned.get(message.partition)
            if partition is None or message.sequence <= partition.sealed_applied:
                continue
            self._partitions[partition.number] = partition
            self._applied[partition.number] = message.sequence
            frames = self._frames.setdefault(partition.number, [])
            if not message.data:
                continue
            try:
                frames.append(decode_frame(message.data))
            except msgspec.MsgspecError as error:
                BROKEN_FRAMES.inc()
                partition.last_error = f"frame {message.sequence} cannot be decoded: {error}"
                log.error("broken frame", partition=partition.number, sequence=message.sequence, error=str(error))

    @property
    def partitions(self) -> list[int]:
        """See `Loaded.partitions`: those that have frames in this batch, or rooms that these bring readings for."""
        return list(self._partitions)

    async def load(self, store: Store) -> None:
        """See `Loaded.load`."""
        self._late = []
        for number, frames in self._frames.items():
            partition = self._owned[number]
            devices: set[str] = set()
            rooms: set[str] = set()
            for frame in frames:
                to_devices, to_rooms = addressed(frame)
                devices |= to_devices
                rooms |= to_rooms
            await partition.activate(devices, rooms, store)
            for id_ in rooms - partition.actors.rooms.keys():
                partition.actors.activate_room(Room(id=id_), RoomState())  # nobody was heard of in it before
            actors = partition.actors.devices
            await self._join({actor.device.room for id_ in devices if (actor := actors.get(id_))}, partition.of, store)
            newest_us = {id_: actor.newest_us for id_ in devices if (actor := actors.get(id_))}
            for frame in frames:
                if isinstance(frame, DeviceFrame):
                    for message in [one for one in frame.messages if one.time_us <= newest_us.get(one.device, -1)]:
                        self._late += actors[message.device].late(message)

    @property
    def asks_history(self) -> bool:
        """See `SteppedWork.asks_history`: readings that are not newer than all before may have been sent again."""
        return bool(self._late)

    async def look_up(self, store: Store) -> None:
        """See `SteppedWork.look_up`."""
        self._stored = Stored(await store.known(self._late))

    def steps(self) -> Iterator[None]:
        """See `SteppedWork.steps`: a partition after the other."""
        shares = []
        for number, frames in self._frames.items():
            partition = self._partitions[number]
            changes = Changes(listening=self._listening)
            for frame in frames:
                self._apply_frame(partition, frame, changes)
            shares.append(Share(partition, changes, applied=self._applied[number]))
            yield
        self.shares = hand_over(shares, self._owned, now_us=self._now_us)

    def committed(self) -> None:
        """See `SteppedWork.committed`."""
        APPLIED.inc(self.telemetry)
        APPLY_SECONDS.observe(perf_counter() - self._began_s)

    async def _join(self, rooms: set[str | None], of: int, store: Store) -> None:
        """Bring those rooms into memory that are owned here, too: they get their readings within this batch."""
        by_partition: dict[int, list[str]] = {}
        for room in rooms:
            if room is not None and (number := partition_of(room, of)) in self._owned:
                by_partition.setdefault(number, []).append(room)
        for number, here in by_partition.items():
            self._partitions[number] = self._owned[number]
            await self._owned[number].activate([], here, store)

    def _apply_frame(self, partition: Partition, frame: Frame, changes: Changes) -> None:
        actors, now_us = partition.actors, self._now_us
        if isinstance(frame, ActorFrame):
            if lost := actors.receive_from_actors(frame, changes, now_us=now_us):
                partition.last_error = f"{lost} frames of partition {frame.source} before {frame.number} never came"
                log.error("frames between actors are lost", partition=partition.number, source=frame.source, lost=lost)
            return
        if isinstance(frame, DeviceFrame):
            orphans = actors.receive_telemetry(frame.messages, changes, stored=self._stored, now_us=now_us)
            self.telemetry += len(frame.messages)
        else:
            orphans = actors.receive_signals(frame.signals, changes, now_us=now_us)
        if orphans:
            ORPHANS.inc(orphans)
            log.warning("messages of deleted devices", partition=partition.number, count=orphans)
