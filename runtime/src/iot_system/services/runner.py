"""Runs one service as a process: probes from the first moment, signals, a drained end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from typing import Protocol

import structlog

from iot_system.adapters.addresses import remember_addresses
from iot_system.adapters.http.server import NO_WEBSOCKETS, ASGIApp, HttpServer, HttpTls, WebSocketFactory
from iot_system.garbage import collect_seldom
from iot_system.ports.health import Health

log = structlog.get_logger()


class Service(Health, Protocol):
    """One life cycle for all."""

    async def start(self) -> None:
        """Return when ready."""
        ...

    async def wait_for_end(self) -> None:
        """Return when it cannot go on."""
        ...

    async def stop(self) -> None:
        """Drain and leave; idempotent."""
        ...


async def run(
    service: Service,
    app: ASGIApp,
    *,
    host: str,
    port: int,
    requests_timeout_s: float,
    websockets: Mapping[str, WebSocketFactory] = NO_WEBSOCKETS,
    tls: HttpTls | None = None,
) -> int:
    """Run ``service`` until SIGTERM or SIGINT, or until it cannot go on; returns the exit code.

    ``app`` answers probes on ``host:port``, before the service is ready too; ``websockets`` and ``tls`` as `HttpServer`
    has them. At the end, requests under way have ``requests_timeout_s``, then the service stops. Raises what
    `Service.start` raises.
    """
    remember_addresses()
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    http = HttpServer(app, host=host, port=port, websockets=websockets, tls=tls)
    await http.start()
    starting = asyncio.create_task(service.start())
    stopping = asyncio.create_task(told_to_stop.wait())
    ended = asyncio.create_task(service.wait_for_end())
    try:
        await asyncio.wait([starting, stopping, ended], return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and not stopping.done():
            starting.result()
            collect_seldom()
            log.info("ready", port=http.port)
            await asyncio.wait([stopping, ended], return_when=asyncio.FIRST_COMPLETED)
        return 0 if stopping.done() else 1
    finally:
        for task in (starting, stopping, ended):
            task.cancel()
        await asyncio.gather(starting, stopping, ended, return_exceptions=True)
        await http.stop(deadline_s=requests_timeout_s)
        await service.stop()
