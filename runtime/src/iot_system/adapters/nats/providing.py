"""Streams as they should be: made where they are missing, their limits brought up to date."""

from __future__ import annotations

import nats.js.errors
import structlog
from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo

log = structlog.get_logger()


async def find(jetstream: JetStreamContext, stream: str) -> StreamInfo | None:
    """None where there is no such stream. Raises what nats-py raises."""
    try:
        return await jetstream.stream_info(stream)
    except nats.js.errors.NotFoundError:
        return None


async def provide(jetstream: JetStreamContext, wanted: StreamConfig, *, first_seq: int | None = None) -> None:
    """Make the stream, which begins at ``first_seq``, or bring its limits up to date. Raises what nats-py raises."""
    assert wanted.name is not None
    found = await find(jetstream, wanted.name)
    if found is None:
        await jetstream.add_stream(wanted, first_seq=first_seq)
        log.warning("stream made", stream=wanted.name)
    else:
        await limit(jetstream, found, wanted)


async def limit(jetstream: JetStreamContext, found: StreamInfo, wanted: StreamConfig) -> StreamInfo:
    """Give the stream the bytes and the replicas of ``wanted``, where it has others."""
    config = found.config
    if (config.max_bytes, config.num_replicas) == (wanted.max_bytes, wanted.num_replicas):
        return found
    return await jetstream.update_stream(config.evolve(max_bytes=wanted.max_bytes, num_replicas=wanted.num_replicas))
