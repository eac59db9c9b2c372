"""Streams as those who use them see them: `iot_system.adapters.nats.providing` makes them."""

from __future__ import annotations

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import StreamInfo

from iot_system.errors import Unavailable, reason_of


async def look(jetstream: JetStreamContext, stream: str) -> StreamInfo:
    """Raises `Unavailable` where there is no such stream, or where nobody tells."""
    try:
        return await jetstream.stream_info(stream)
    except nats.js.errors.NotFoundError as error:
        raise Unavailable(f"stream {stream} does not exist; `iot-system streams` makes it") from error
    except (nats.errors.Error, TimeoutError) as error:
        raise Unavailable(f"JetStream does not answer: {reason_of(error)}") from error
