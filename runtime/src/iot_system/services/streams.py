"""Makes the streams, as the broker's administrator."""

from __future__ import annotations

from iot_system.adapters.nats.connection import connect, disconnect
from iot_system.adapters.nats.providing import provide_streams
from iot_system.services.waiting import wait_for
from iot_system.settings import BrokerSettings, StreamSettings


async def make_streams(broker: BrokerSettings, streams: StreamSettings) -> None:
    """Return when all are there as they should be; waits for the broker. Raises `InvalidSetting`."""

    async def make() -> None:
        client = await connect(broker, name="streams")
        try:
            await provide_streams(client, streams)
        finally:
            await disconnect(client)

    await wait_for(make, missing=lambda _: None)  # the log says what is missing; nobody else asks
