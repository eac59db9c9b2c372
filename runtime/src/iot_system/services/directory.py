"""What an API pod knows of devices: a bounded cache before the actor system, dropped on announcement."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

import structlog

from iot_system.domain.registry import DeviceAccess
from iot_system.errors import IotError, Unavailable
from iot_system.ports.clock import Clock
from iot_system.services.asking import Asking

KNOWN_FOR_S = 30.0
UNKNOWN_FOR_S = 2.0
RENEWED_FOR_S = 15.0
"""So long before its end what is in use is asked for again: while the database changes its primary nobody can tell."""
GATHER_S = 0.5
"""What is to be renewed waits so long for others of its partition."""
RECENT_S = 4.0
"""What a credential is checked against is no older, for an announcement may be lost (its shard died)."""
ENTRIES_LIMIT = 200_000
log = structlog.get_logger()


class Directory:
    """Answers who a device is. ``None`` means that it is not registered."""

    def __init__(self, asking: Asking, clock: Clock) -> None:
        self._asking = asking
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, DeviceAccess | None]] = OrderedDict()
        self._lookups: dict[str, asyncio.Future[DeviceAccess | None]] = {}
        self._outdated: set[str] = set()
        self._renewing: set[str] = set()
        self._to_renew: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def cached(self, id_: str) -> tuple[bool, DeviceAccess | None]:
        """Whether the answer is at hand, and the answer. Never while a look-up is under way: it keeps the order."""
        entry, now_s = self._entries.get(id_), self._clock.monotonic_s()
        if entry is None or id_ in self._lookups or entry[0] < now_s:
            return False, None
        if entry[1] is not None and entry[0] - RENEWED_FOR_S < now_s and id_ not in self._renewing:
            self._renew(id_)
        return True, entry[1]

    async def get(self, id_: str) -> DeviceAccess | None:
        """Raises `Unavailable` where nobody can tell."""
        hit, access = self.cached(id_)
        return access if hit else await asyncio.shield(self.look_up([id_])[id_])

    async def recent(self, id_: str) -> DeviceAccess | None:
        """As `get`, but no older than `RECENT_S`."""
        hit, access = self.cached(id_)
        if hit and self._entries[id_][0] - self._clock.monotonic_s() > _known_for_s(access) - RECENT_S:
            return access
        return await asyncio.shield(self.look_up([id_])[id_])

    def look_up(self, ids: Iterable[str]) -> dict[str, asyncio.Future[DeviceAccess | None]]:
        """Ask for ``ids``, joining questions that are under way.

        The futures' callbacks run in the order in which they were added, and before `cached` has the answer: whoever
        asked first acts first.
        """
        by_partition: dict[int, list[str]] = {}
        futures = {}
        for id_ in ids:
            if id_ not in self._lookups:
                self._lookups[id_] = asyncio.get_running_loop().create_future()
                by_partition.setdefault(self._asking.partition_of(id_), []).append(id_)
            futures[id_] = self._lookups[id_]
        for partition, asked in by_partition.items():
            task = asyncio.create_task(self._ask(partition, asked))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return futures

    def forget(self, id_: str) -> None:
        """The device changed: ask again next time. An answer under way may be older than the change."""
        self._entries.pop(id_, None)
        self._renewing.discard(id_)
        if id_ in self._lookups:
            self._outdated.add(id_)

    def _renew(self, id_: str) -> None:
        """Ask again, without anybody who waits for it."""
        if not self._to_renew:
            asyncio.get_running_loop().call_later(GATHER_S, self._renew_all)
        self._renewing.add(id_)
        self._to_renew.append(id_)

    def _renew_all(self) -> None:
        by_partition: dict[int, list[str]] = {}
        for id_ in self._to_renew:
            by_partition.setdefault(self._asking.partition_of(id_), []).append(id_)
        self._to_renew = []
        for partition, ids in by_partition.items():
            task = asyncio.create_task(self._ask_again(partition, ids))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask_again(self, partition: int, ids: list[str]) -> None:
        try:
            found = {access.device.id: access for access in await self._asking.access(partition, ids)}
        except IotError as error:
            log.debug("devices were not renewed", why=str(error))  # they are asked for again, by who needs them
        except Exception:
            log.exception("devices were not renewed")
        else:
            for id_ in ids:
                if id_ in self._renewing and id_ not in self._lookups:
                    self._keep(id_, found.get(id_))
        finally:
            self._renewing.difference_update(ids)

    async def _ask(self, partition: int, ids: list[str]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answer = await self._asking.access(partition, ids)
        except IotError as error:
            self._fail(ids, error)
        except Exception:
            log.exception("a look-up failed")
            self._fail(ids, Unavailable("the gateway failed to look the device up; its log says why"))
        else:
            found = {access.device.id: access for access in answer}
            for id_ in ids:
                self._lookups[id_].set_result(found.get(id_))
                loop.call_soon(self._remember, id_, found.get(id_))

    def _fail(self, ids: list[str], error: IotError) -> None:
        loop = asyncio.get_running_loop()
        for id_ in ids:
            future = self._lookups[id_]
            future.set_exception(error)
            future.exception()  # whoever waits has it; nobody must
            loop.call_soon(self._end, id_)

    def _end(self, id_: str) -> bool:
        """The look-up is over; returns whether its answer may be kept."""
        del self._lookups[id_]
        is_current = id_ not in self._outdated
        self._outdated.discard(id_)
        return is_current

    def _remember(self, id_: str, access: DeviceAccess | None) -> None:
        if self._end(id_):
            self._keep(id_, access)

    def _keep(self, id_: str, access: DeviceAccess | None) -> None:
        self._entries[id_] = (self._clock.monotonic_s() + _known_for_s(access), access)
        while len(self._entries) > ENTRIES_LIMIT:
            self._entries.popitem(last=False)


def _known_for_s(access: DeviceAccess | None) -> float:
    return KNOWN_FOR_S if access else UNKNOWN_FOR_S
