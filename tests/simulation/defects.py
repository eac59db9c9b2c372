"""Defects as they might come into the runtime, each planted in a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from sqlite3 import Connection
from typing import Any

import msgspec
import pytest
from iot_system.actors.changes import Changes
from iot_system.actors.device import DeviceActor
from iot_system.actors.partition import PartitionActors
from iot_system.actors.stored import Stored
from iot_system.adapters.sqlite import ownership
from iot_system.adapters.sqlite.store import SqliteStore
from iot_system.domain.frames import ActorFrame
from iot_system.domain.readings import Telemetry
from iot_system.domain.signals import Signal
from iot_system.ports.store import PartitionCommit
from iot_system.ports.stream import Reader
from iot_system.services.bundling import Bundling
from iot_system.services.committing import Committing
from iot_system.services.reading import FETCH_FRAMES, FETCH_WAIT_S, Reading
from iot_system.services.turn import Share
from iot_system.services.writer import PartitionWriter

Messages = Sequence[Telemetry] | Sequence[Signal]
Sealed = Sequence[tuple[Share, PartitionCommit]]


def acknowledged_before_durable(plant: pytest.MonkeyPatch) -> None:
    """The gateway does not wait for the broker."""
    publish = Bundling.publish

    async def at_once(self: Bundling, partition: int, data: bytes) -> None:
        asyncio.get_running_loop().create_task(publish(self, partition, data))

    plant.setattr(Bundling, "publish", at_once)


def offset_outside_the_transaction(plant: pytest.MonkeyPatch) -> None:
    """How far the stream was read is written first, by itself."""
    commit = Committing._commit_sealed

    def write(connection: Connection, partition: int, epoch: int, applied: int) -> None:
        position = (applied, partition, epoch)
        connection.execute("update partitions set applied = ? where number = ? and epoch = ?", position)

    async def advance(self: SqliteStore, partition: int, epoch: int, applied: int) -> None:
        await self._database.write(write, partition, epoch, applied)

    async def advance_and_commit(self: Committing, sealed: Sealed, *, attempts: int | None = None) -> bool:
        store: Any = self._store
        for _, one in sealed:
            await store.advance(one.partition, one.epoch, one.applied)
        return await commit(self, sealed, attempts=attempts)

    plant.setattr(SqliteStore, "advance", advance, raising=False)
    plant.setattr(Committing, "_commit_sealed", advance_and_commit)


def published_before_committed(plant: pytest.MonkeyPatch) -> None:
    """Messages between actors do not wait for the commit that they come from."""
    commit = Committing._commit_sealed

    async def publish_and_commit(self: Committing, sealed: Sealed, *, attempts: int | None = None) -> bool:
        for _, one in sealed:
            self._outbox.put(one.partition, one.outbox)
        return await commit(self, sealed, attempts=attempts)

    plant.setattr(Committing, "_commit_sealed", publish_and_commit)


def everything_is_taken_in(plant: pytest.MonkeyPatch) -> None:
    """The gateway refuses nothing, however much waits for the broker."""
    put = PartitionWriter.put

    def put_anyway(self: PartitionWriter, messages: Messages, *, may_wait: bool = False) -> asyncio.Future[Any]:
        waiting, self._queued = self._queued, 0
        stored = put(self, messages, may_wait=may_wait)
        self._queued += waiting
        return stored

    plant.setattr(PartitionWriter, "put", put_anyway)


def everything_is_read(plant: pytest.MonkeyPatch) -> None:
    """The shard reads on, however much waits for its turn."""

    async def fetch(self: Reading, reader: Reader) -> None:
        while True:
            self._arrived += await reader.fetch(FETCH_FRAMES, wait_s=FETCH_WAIT_S)
            self._news.set()

    plant.setattr(Reading, "_fetch", fetch)


def no_epoch_check(plant: pytest.MonkeyPatch) -> None:
    """The store takes every commit for one of the newest owner."""
    commit = ownership.commit

    def commit_unchecked(connection: Connection, commits: Sequence[PartitionCommit]) -> None:
        epochs = dict(connection.execute("select number, epoch from partitions"))
        commit(connection, [msgspec.structs.replace(one, epoch=epochs[one.partition]) for one in commits])

    plant.setattr(ownership, "commit", commit_unchecked)
    plant.setattr(ownership, "check", lambda connection, guards: None)


def no_numbers_known_again(plant: pytest.MonkeyPatch) -> None:
    """A device's own numbers and ids are not looked at."""
    plant.setattr(DeviceActor, "is_resent", lambda self, message: False)


def no_readings_known_again(plant: pytest.MonkeyPatch) -> None:
    """Nobody asks whether a late reading is in the history already."""
    plant.setattr(Stored, "__contains__", lambda self, key: False)


def no_frames_of_actors_known_again(plant: pytest.MonkeyPatch) -> None:
    """What actors tell each other is taken in as often as it comes."""
    receive = PartitionActors.receive_from_actors

    def receive_anything(self: PartitionActors, frame: ActorFrame, changes: Changes, *, now_us: int) -> int:
        self._received.pop(frame.source, None)
        return receive(self, frame, changes, now_us=now_us)

    plant.setattr(PartitionActors, "receive_from_actors", receive_anything)


DEFECTS: Mapping[Callable[[pytest.MonkeyPatch], None], str] = {
    acknowledged_before_durable: "lost: ",
    offset_outside_the_transaction: "lost: ",
    published_before_committed: r"room \w+ has for ",
    everything_is_taken_in: r"gateway-\d+ has too many messages",
    everything_is_read: r"shard-\d+ has too many frames",
    no_epoch_check: "a commit of epoch ",
    no_numbers_known_again: "doubled: ",
    no_readings_known_again: r"room \w+ has for ",
    no_frames_of_actors_known_again: r"room \w+ has for ",
}
"""Each with a pattern of how the sentence begins that tells of it: that something crashed, say, tells nothing."""
