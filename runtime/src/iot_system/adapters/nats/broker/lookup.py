"""Single messages of a stream, as its leader has them: a replica may be behind."""

from __future__ import annotations

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

from iot_system.errors import Unavailable, reason_of


async def by_sequence(jetstream: JetStreamContext, stream: str, sequence: int) -> RawStreamMsg | None:
    """None where it is gone. Raises `Unavailable`."""
    try:
        return await jetstream.get_msg(stream, seq=sequence)
    except nats.js.errors.NotFoundError:
        return None
    except (nats.errors.Error, TimeoutError) as error:
        raise Unavailable(f"stream {stream} does not answer: {reason_of(error)}") from error


async def newest(jetstream: JetStreamContext, stream: str, subject: str) -> RawStreamMsg | None:
    """The last one under a subject; None where there is none. Raises `Unavailable`."""
    try:
        return await jetstream.get_last_msg(stream, subject)
    except nats.js.errors.NotFoundError:
        return None
    except (nats.errors.Error, TimeoutError) as error:
        raise Unavailable(f"stream {stream} does not answer: {reason_of(error)}") from error
