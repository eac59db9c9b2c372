"""`python -m bench.actors.activating URL DEVICES`: wakes all devices of a store, once; answers by `Activated`.

With a third argument memory is also counted by tracemalloc, which takes longer: such a time is not to be used.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import tracemalloc
from pathlib import Path

import msgspec
from iot_system.adapters.stores import open_store
from iot_system.garbage import collect_seldom
from iot_system.services.partition import Partition

from bench.actors.registered import STREAM_ID
from bench.programs import answer, hear_any
from bench.usage import resident_of
from bench.workload import device

SELF = Path("/proc/self")
AT_ONCE = 1000
"""Devices that are woken by one look into the store."""


class Activated(msgspec.Struct, frozen=True):
    """How long it took to bring ``devices`` into memory, and what they take there; ``traced_bytes`` where counted."""

    devices: int
    seconds: float
    resident_bytes: int
    traced_bytes: int | None


async def activate(url: str, devices: int, *, traced: bool) -> Activated:
    """Bring all into memory by batches, as a shard does for a turn."""
    store = open_store(url)
    await store.start()
    try:
        claim = (await store.claim([0], "bench", STREAM_ID))[0]
        partition = Partition(claim, of=1)
        # Once before it is measured, so that connections and caches are there.
        await Partition(claim, of=1).activate([device(number) for number in range(min(AT_ONCE, devices))], [], store)
        collect_seldom()
        if traced:
            tracemalloc.start()
        resident, began_s = resident_of(SELF), time.perf_counter()
        for start in range(0, devices, AT_ONCE):
            ids = [device(number) for number in range(start, min(start + AT_ONCE, devices))]
            await partition.activate(ids, [], store)
        seconds = time.perf_counter() - began_s
        assert len(partition.actors.devices) == devices
        gc.collect()
        counted = tracemalloc.get_traced_memory()[0] if traced else None
        return Activated(devices, seconds, resident_of(SELF) - resident, counted)
    finally:
        await store.stop()


if __name__ == "__main__":
    hear_any()
    answer(asyncio.run(activate(sys.argv[1], int(sys.argv[2]), traced=len(sys.argv) > 3)))
