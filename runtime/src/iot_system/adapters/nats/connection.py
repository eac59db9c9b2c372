"""One connection to NATS that is never given up."""

from __future__ import annotations

import nats
import structlog
from nats.aio.client import Client

from iot_system.errors import Unavailable
from iot_system.settings import BrokerSettings

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
        log.warning("broker error", error=repr(error))

    try:
        return await nats.connect(
            settings.urls.split(","),
            name=name,
            user=settings.user,
            password=settings.password,
            connect_timeout=2,
            ping_interval=5,
            max_outstanding_pings=2,
            reconnect_time_wait=0.25,
            max_reconnect_attempts=-1,
            allow_reconnect=True,
            pending_size=PENDING_BYTES,
            disconnected_cb=on_disconnect,
            reconnected_cb=on_reconnect,
            error_cb=on_error,
        )
    except (OSError, TimeoutError, nats.errors.Error) as error:
        raise Unavailable(f"the broker at {settings.urls} does not answer: {error}") from error
