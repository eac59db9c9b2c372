"""Stores with many devices in them, as they are when a shard begins."""

from __future__ import annotations

from collections.abc import Sequence

from iot_system.domain.ids import partition_of
from iot_system.ports.store import PartitionCommit, Store

from bench.actors.messages import registration, state
from bench.workload import device

STREAM_ID = "bench"
AT_ONCE = 5000


async def register(store: Store, devices: int, *, partitions: int, metrics: int) -> None:
    """Put so many devices into a new store, each as if it had sent one message of so many metrics; of 0, none."""
    by_partition: list[list[int]] = [[] for _ in range(partitions)]
    for number in range(devices):
        by_partition[partition_of(device(number), partitions)].append(number)
    for number, claim in (await store.claim(range(partitions), "bench", STREAM_ID)).items():
        members = by_partition[number]
        for turn, start in enumerate(range(0, len(members), AT_ONCE)):
            chunk = members[start : start + AT_ONCE]
            await store.commit([_commit(number, claim.epoch, claim.revision + turn + 1, chunk, metrics)])


def _commit(partition: int, epoch: int, revision: int, numbers: Sequence[int], metrics: int) -> PartitionCommit:
    return PartitionCommit(
        partition=partition,
        epoch=epoch,
        revision=revision,
        applied=0,
        registered_devices=[registration(number) for number in numbers],
        devices={device(number): state(number, metrics) for number in numbers} if metrics else {},
    )
