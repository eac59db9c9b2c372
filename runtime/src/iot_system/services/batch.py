"""One turn of a shard: some frames of some partitions, and the commit that they make."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog

from iot_system.actors.partition import Changes
from iot_system.domain.frames import ActorFrame, DeviceFrame, Frame, decode_frame
from iot_system.domain.history import Reading
from iot_system.ports.store import OutboxMessage, PartitionCommit, Store
from iot_system.ports.stream import StreamMessage
from iot_system.services.partition import Partition
from iot_system.services.shard_metrics import BROKEN_FRAMES, ORPHANS

log = structlog.get_logger()


class Batch:
    """Decodes, then `load`s what the frames need, then `apply`s them: `commits` is what to write."""

    def __init__(self, messages: list[StreamMessage], owned: Mapping[int, Partition], *, now_s: float) -> None:
        self._now_s = now_s
        self._partitions: dict[int, Partition] = {}
        self._frames: dict[int, list[Frame]] = {}
        self._applied: dict[int, int] = {}
        self._stored: set[tuple[str, str, int]] = set()
        self.telemetry = 0
        self.commits: list[PartitionCommit] = []
        for message in messages:
            partition = owned.get(message.partition)
            if partition is None or message.sequence <= partition.applied:
                continue
            self._partitions[partition.number] = partition
            self._applied[partition.number] = message.sequence
            frames = self._frames.setdefault(partition.number, [])
            try:
                frames.append(decode_frame(message.data))
            except msgspec.MsgspecError as error:
                BROKEN_FRAMES.inc()
                partition.last_error = f"frame {message.sequence} cannot be decoded: {error}"
                log.error("broken frame", partition=partition.number, sequence=message.sequence, error=str(error))

    @property
    def partitions(self) -> list[int]:
        """The partitions that have frames in this batch."""
        return list(self._partitions)

    async def load(self, store: Store) -> None:
        """Activate actors, and ask which of the late readings the history has already."""
        late: list[Reading] = []
        for number, frames in self._frames.items():
            partition = self._partitions[number]
            devices: set[str] = set()
            rooms: set[str] = set()
            for frame in frames:
                if isinstance(frame, DeviceFrame):
                    devices.update([message.device for message in frame.messages])
                else:
                    rooms.update([message.room for message in frame.messages])
            await partition.activate(list(devices), list(rooms), store)
            actors = partition.actors.devices
            for frame in frames:
                if isinstance(frame, DeviceFrame):
                    for message in frame.messages:
                        if actor := actors.get(message.device):
                            late += actor.late(message)
        self._stored = await store.known(late) if late else set()

    def apply(self) -> None:
        """Let the actors take their messages in; nothing here waits."""
        for number, frames in self._frames.items():
            partition = self._partitions[number]
            changes = Changes()
            for frame in frames:
                self._apply_frame(partition, frame, changes)
            self.commits.append(
                PartitionCommit(
                    partition=number,
                    epoch=partition.epoch,
                    before=partition.applied,
                    applied=self._applied[number],
                    readings=changes.readings,
                    devices=changes.devices,
                    rooms=changes.rooms,
                    received=changes.received,
                    outbox=[OutboxMessage(*message) for message in changes.outbox],
                )
            )

    def _apply_frame(self, partition: Partition, frame: Frame, changes: Changes) -> None:
        if isinstance(frame, ActorFrame):
            if lost := partition.actors.receive_from_actors(frame, changes, now_s=self._now_s):
                partition.last_error = f"{lost} frames of partition {frame.source} before {frame.number} never came"
                log.error("frames between actors are lost", partition=partition.number, source=frame.source, lost=lost)
            return
        orphans = partition.actors.receive_telemetry(frame.messages, changes, stored=self._stored, now_s=self._now_s)
        self.telemetry += len(frame.messages)
        if orphans:
            ORPHANS.inc(orphans)
            log.warning("messages of deleted devices", partition=partition.number, count=orphans)
