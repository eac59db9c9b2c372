"""All streams as they should be: made where they are missing, their limits brought up to date.

Whoever may do this may do everything: by its configuration a stream reads others and publishes anywhere. So no service
may; `iot-system streams` does it as the administrator.
"""

from __future__ import annotations

import time

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo

from iot_system.adapters.nats.broker.streams import broker_streams
from iot_system.adapters.nats.logs import log_streams
from iot_system.adapters.nats.stream import check_frames, frame_stream
from iot_system.errors import Unavailable, reason_of
from iot_system.settings import StreamSettings

TIMEOUT_S = 5.0
log = structlog.get_logger()


async def provide_streams(client: Client, settings: StreamSettings) -> None:
    """Return when all of them are there.

    Raises `InvalidSetting` where frames were begun with other partitions, or where the broker's limit of a message is
    too small for them; `Unavailable` while JetStream cannot.
    """
    jetstream = client.jetstream(timeout=TIMEOUT_S)
    for wanted in log_streams(settings):
        await _provide(jetstream, wanted)
    for wanted in broker_streams(replicas=settings.replicas):
        # One that is made anew goes on behind every sequence of the one that was lost.
        await _provide(jetstream, wanted, first_seq=time.time_ns() // 1000)
    check_frames(client, await _provide(jetstream, frame_stream(settings)), settings)


async def _provide(jetstream: JetStreamContext, wanted: StreamConfig, *, first_seq: int | None = None) -> StreamInfo:
    name = wanted.name or ""
    try:
        found = await _find(jetstream, name)
        if found is not None and found.config.storage != wanted.storage:
            # 0.1.0 kept new readings in memory: whoever reads them begins anew.
            await jetstream.delete_stream(name)
            found = None
        if found is None:
            log.warning("making a stream", stream=name)
            return await jetstream.add_stream(wanted, first_seq=first_seq)
        return await _limit(jetstream, found, wanted)
    except (nats.errors.Error, TimeoutError) as error:
        raise Unavailable(f"JetStream cannot provide stream {name}: {reason_of(error)}") from error


async def _find(jetstream: JetStreamContext, stream: str) -> StreamInfo | None:
    try:
        return await jetstream.stream_info(stream)
    except nats.js.errors.NotFoundError:
        return None


async def _limit(jetstream: JetStreamContext, found: StreamInfo, wanted: StreamConfig) -> StreamInfo:
    config = found.config
    if (config.max_bytes, config.num_replicas) == (wanted.max_bytes, wanted.num_replicas):
        return found
    return await jetstream.update_stream(config.evolve(max_bytes=wanted.max_bytes, num_replicas=wanted.num_replicas))
