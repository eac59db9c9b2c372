"""The Ray head pod: cluster state that survives it, and no user work."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from iot_system.adapters.ray.node import RayNode, wait_for_lock
from iot_system.settings import RayHeadSettings

CHECK_S = 1.0
FAILURES_UNTIL_END = 5
log = structlog.get_logger()


class RayHead:
    """Implements `iot_system.ports.health.Health`; start returns when the head accepts connections."""

    def __init__(self, settings: RayHeadSettings) -> None:
        self._storage = Path(settings.storage) if settings.storage else None
        self._node = RayNode.head(settings.address, self._storage, settings.machine)
        self._missing: str | None = "starting"
        self._watching: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    def why_not_alive(self) -> str | None:
        """See `iot_system.ports.health.Health`."""
        return self._node.why_not_alive()

    def why_not_ready(self) -> str | None:
        """See `iot_system.ports.health.Health`."""
        return self._missing

    async def start(self) -> None:
        """Start Ray once the storage is free."""
        if self._storage is not None:
            await wait_for_lock(self._storage)
        await self._node.start()
        up = asyncio.Event()
        self._watching = asyncio.create_task(self._watch(up))
        await up.wait()

    async def stop(self) -> None:
        """End Ray's processes; nodes go on and come back to the next head."""
        self._missing = "stopping"
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._node.stop()

    async def wait_for_end(self) -> None:
        """Return when the head cannot go on: ``ray start`` itself notices a dead GCS after 40 s only."""
        await self._ended.wait()

    async def _watch(self, up: asyncio.Event) -> None:
        failures = 0
        while self._node.why_not_alive() is None and failures < FAILURES_UNTIL_END:
            self._missing = await self._node.why_not_reached()
            if self._missing is None:
                failures = 0
                up.set()
            else:
                failures += up.is_set()
            await asyncio.sleep(CHECK_S)
        log.error("the head has ended", why=self._node.why_not_alive() or self._missing)
        self._ended.set()
