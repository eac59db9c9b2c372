"""What one process sees to now and then: busy sessions are saved, those of dead processes and old ones looked after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any

import structlog

from iot_system.adapters.mqtt.broker.feeds import Feeds
from iot_system.adapters.mqtt.broker.ownership import Ownership
from iot_system.adapters.mqtt.broker.presence import Presence
from iot_system.adapters.mqtt.broker.quota import Quota
from iot_system.adapters.mqtt.broker.router import Router
from iot_system.ending import ended
from iot_system.errors import IotError
from iot_system.ports.broker import Backend, Found, SessionRecord, SessionTaken
from iot_system.ports.clock import Clock

TICK_S = 1.0
SWEEP_EVERY_S = 30.0
_AT_ONCE = 64
log = structlog.get_logger()


class Upkeep:
    """Runs from `start` to `stop`."""

    def __init__(
        self,
        gateway: str,
        router: Router,
        feeds: Feeds,
        ownership: Ownership,
        backend: Backend,
        presence: Presence,
        quota: Quota,
        clock: Clock,
    ) -> None:
        self._gateway = gateway
        self._router = router
        self._feeds = feeds
        self._ownership = ownership
        self._backend = backend
        self._presence = presence
        self._quota = quota
        self._clock = clock
        self._left_groups: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._swept_s = clock.monotonic_s()

    def start(self) -> None:
        self._router.on_left = self._on_left
        self._spawn(self._run())

    async def stop(self) -> None:
        """Idempotent."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await ended(self._tasks)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now_s = self._clock.monotonic_s()
            dead = self._presence.take_dead(now_s)
            try:
                await self._save_busy()
                await self._feeds.rest()
                if dead or self._left_groups or now_s - self._swept_s >= SWEEP_EVERY_S:
                    self._swept_s = now_s
                    await self._sweep()
            except IotError as error:
                log.warning("sessions could not be looked after", why=str(error))

    async def _save_busy(self) -> None:
        """A crash in between sends again what was acknowledged since, which QoS 1 allows."""
        busy = [one for one in self._router.attached.values() if one.is_dirty and one.outlives_connection]
        for start in range(0, len(busy), _AT_ONCE):
            await _all(self._router.save(member) for member in busy[start : start + _AT_ONCE])

    async def _sweep(self) -> None:
        groups, self._left_groups = self._left_groups, set()
        try:
            self._quota.sweep()
            found = {one.key: one for one in await self._backend.sessions.scan()}
            self._quota.swept(found.values())
            for member in list(self._router.attached.values()):
                entry = found.get(member.key)
                if entry is None or (entry.gateway != self._gateway and entry.revision > member.revision):
                    await self._router.verify(member)
            await _all(self._look_after(one) for one in found.values() if self._is_due(one))
            for key in groups - {group for one in found.values() for group in one.groups}:
                await self._backend.messages.delete_group(key)
        except IotError:
            self._left_groups |= groups
            raise

    def _is_due(self, found: Found) -> bool:
        """Whether there is something to do for a record, and this process is the one that does it."""
        if found.gateway == self._gateway:
            return not self._router.knows(found.key)
        if found.gateway:
            return self._presence.is_dead(found.gateway, self._clock.monotonic_s())
        return (
            found.due_us is not None and found.due_us <= self._clock.now_us() and self._presence.is_first(self._gateway)
        )

    async def _look_after(self, found: Found) -> None:
        abandoned = None if self._router.knows(found.key) else found.revision
        left = await self._ownership.look_after(found.key, abandoned=abandoned)
        self._on_left(left, found.groups if left is None else frozenset())

    def _on_left(self, record: SessionRecord | None, groups: frozenset[str]) -> None:
        """A session was given up: its will may be due later, its groups may have no member any more."""
        self._left_groups |= groups
        if record is None:
            return
        due_us = record.will_due_us()
        if due_us is not None:
            if (timer := self._timers.pop(record.key, None)) is not None:
                timer.cancel()
            delay_s = max(0.0, (due_us - self._clock.now_us()) / 1e6)
            self._timers[record.key] = asyncio.get_running_loop().call_later(delay_s, self._on_will_due, record.key)

    def _on_will_due(self, key: str) -> None:
        self._timers.pop(key, None)
        self._spawn(self._publish_will(key))

    async def _publish_will(self, key: str) -> None:
        try:
            self._on_left(await self._ownership.look_after(key), frozenset())
        except IotError as error:
            log.warning("a will has to wait", why=str(error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _all(works: Iterable[Awaitable[None]]) -> None:
    """Do all of them, then raise what one of them raised."""
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(outcome, SessionTaken):
            continue  # its client was told
        if isinstance(outcome, BaseException):
            raise outcome
