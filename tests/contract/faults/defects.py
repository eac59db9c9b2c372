"""Defects as they might come into the runtime, planted into its processes: those of the simulation, on Postgres."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from iot_system.adapters.postgres import ownership
from iot_system.adapters.postgres.database import Connection
from iot_system.adapters.postgres.small import SmallCommits
from iot_system.adapters.postgres.store import PostgresStore
from iot_system.ports.store import PartitionCommit
from iot_system.services.committing import Committing

from tests.simulation.defects import (
    Sealed,
    acknowledged_before_durable,
    no_frames_of_actors_known_again,
    no_numbers_known_again,
    no_readings_known_again,
)

_ADVANCE = "update partitions set applied = $3 where number = $1 and epoch = $2"


def offset_outside_the_transaction(plant: pytest.MonkeyPatch) -> None:
    """How far the stream was read is written first, by itself."""
    commit = Committing._commit_sealed

    async def advance(self: PostgresStore, partition: int, epoch: int, applied: int) -> None:
        async with self._database.session() as session:
            await session.execute(_ADVANCE, partition, epoch, applied)

    async def advance_and_commit(self: Committing, sealed: Sealed, *, attempts: int | None = None) -> bool:
        store: Any = self._store
        for _, one in sealed:
            await store.advance(one.partition, one.epoch, one.applied)
        return await commit(self, sealed, attempts=attempts)

    plant.setattr(PostgresStore, "advance", advance, raising=False)
    plant.setattr(Committing, "_commit_sealed", advance_and_commit)


def no_epoch_check(plant: pytest.MonkeyPatch) -> None:
    """The store takes every commit for one of the newest owner."""
    commit = ownership.commit

    async def commit_unchecked(
        connection: Connection, commits: Sequence[PartitionCommit], metrics: Mapping[str, int], *, merge: bool
    ) -> None:
        epochs = dict(await connection.fetch("select number, epoch from partitions"))
        newest = [msgspec.structs.replace(one, epoch=epochs[one.partition]) for one in commits]
        await commit(connection, newest, metrics, merge=merge)

    async def check(connection: Connection, guards: object) -> None:
        """Nobody is refused."""

    plant.setattr(ownership, "commit", commit_unchecked)
    plant.setattr(ownership, "check", check)
    plant.setattr(SmallCommits, "takes", lambda self, commits: False)


DEFECTS: Mapping[str, Callable[[pytest.MonkeyPatch], None]] = {
    defect.__name__: defect
    for defect in (
        acknowledged_before_durable,
        offset_outside_the_transaction,
        no_epoch_check,
        no_numbers_known_again,
        no_readings_known_again,
        no_frames_of_actors_known_again,
    )
}
