"""What the store has lately said of devices, for the moments in which it says nothing: while it changes its primary.

Devices that connect then, and API pods that are new, need not wait for it. Nothing of it has changed meanwhile: changes
go by the same owner, which forgets what they touch; and another owner needs the store to become one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from iot_system.domain.registry import DeviceAccess
from iot_system.errors import Unavailable
from iot_system.ports.clock import Clock
from iot_system.ports.store import Store
from iot_system.services.partition import Partition

RECOLLECTED_FOR_S = 30.0
"""Who is cut off from the store may have been succeeded, and not know it."""
PATIENCE_S = 0.25
"""A store that is about to leave may say nothing at all, for as long as a command may take."""
ENTRIES_LIMIT = 50_000


class Recollection:
    """Of all partitions of one shard, as long as they are with it. Asked by one at a time."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, int, DeviceAccess | None]] = OrderedDict()
        self._late: asyncio.Task[list[DeviceAccess]] | None = None

    async def access(self, partition: Partition, ids: Sequence[str]) -> list[DeviceAccess]:
        """As `iot_system.ports.store.Store.access`; what was known of ``ids``, where the store is away or slow.

        Raises `Unavailable` where they were not all known.
        """
        known = self._known(partition, ids)
        if known is None:
            return self._keep(partition, ids, await self._store.access(ids))
        if self._late is not None and not self._late.done():
            return known
        asked = asyncio.create_task(self._store.access(ids))
        asked.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be left who wants it
        done, _ = await asyncio.wait([asked], timeout=PATIENCE_S)
        if not done:
            self._late = asked
            return known
        try:
            return self._keep(partition, ids, asked.result())
        except Unavailable:
            return known

    def forget(self, id_: str) -> None:
        """It changes."""
        self._entries.pop(id_, None)

    def _known(self, partition: Partition, ids: Sequence[str]) -> list[DeviceAccess] | None:
        """None where not all are known, or one for too long, or from an earlier time as the owner."""
        now_s = self._clock.monotonic_s()
        entries = [self._entries.get(id_, (0.0, 0, None)) for id_ in ids]
        if any(until_s < now_s or epoch != partition.epoch for until_s, epoch, _ in entries):
            return None
        return [access for _, _, access in entries if access is not None]

    def _keep(self, partition: Partition, ids: Sequence[str], found: list[DeviceAccess]) -> list[DeviceAccess]:
        """Also who is not registered."""
        until_s = self._clock.monotonic_s() + RECOLLECTED_FOR_S
        registered = {access.device.id: access for access in found}
        for id_ in ids:
            self._entries[id_] = (until_s, partition.epoch, registered.get(id_))
            self._entries.move_to_end(id_)
        while len(self._entries) > ENTRIES_LIMIT:
            self._entries.popitem(last=False)
        return found
