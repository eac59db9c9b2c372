"""One connection to NATS that is never given up."""

from __future__ import annotations

import asyncio

import nats.errors
import structlog
from nats.aio.client import Client

from iot_system.errors import Unavailable
from iot_system.settings import BrokerSettings

__all__ = ["Client", "connect"]

FIRST_CONNECTION_TIMEOUT_S = 5.0
LEAVE_TIMEOUT_S = 1.0
log = structlog.get_logger()
PENDING_BYTES = 32 * 1024 * 1024
"""The bound of what waits for the socket while the broker is away; over it, publishing fails."""


async def connect(settings: BrokerSettings, *, name: str) -> Client:
    """Connect, and reconnect for ever afterwards. Raises `Unavailable` where no server answers now."""

    async def on_disconnect() -> None:
        log.warning("broker connection lost", broker=settings.urls)

    async def on_reconnect() -> None:
        log.info("broker connection is back", broker=settings.urls)

    async def on_error(error: Exception) -> None:
        log.debug("broker error", error=repr(error))

    client = Client()
    try:
        # The client itself would try for ever, the first time too, and say nothing.
        async with asyncio.timeout(FIRST_CONNECTION_TIMEOUT_S):
            await client.connect(
                settings.urls.split(","),
                name=name,
                user=settings.user,
                password=settings.password,
                connect_timeout=2,
                ping_interval=5,
                max_outstanding_pings=2,
                reconnect_time_wait=0.25,  # type: ignore[arg-type]  # seconds, fractions too
                max_reconnect_attempts=-1,
                pending_size=PENDING_BYTES,
                disconnected_cb=on_disconnect,
                reconnected_cb=on_reconnect,
                error_cb=on_error,
            )
    except (OSError, TimeoutError, nats.errors.Error) as error:
        last = client.last_error or error
        await client.close()
        raise Unavailable(f"the broker at {settings.urls} does not answer: {last or 'timeout'}") from error
    return client


async def disconnect(client: Client) -> None:
    """Leave for good. Where the broker is away, what waits for it is given up; the client fails to send it."""
    try:
        async with asyncio.timeout(LEAVE_TIMEOUT_S):
            await client.close()
    except (OSError, TimeoutError, nats.errors.Error) as error:
        log.warning("left without the broker", error=repr(error))
