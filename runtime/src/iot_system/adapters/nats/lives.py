"""What the frame stream is known by: positions in it mean nothing in another one.

A broker that loses what a stream held, in a crash say, still calls it the same. Who finds that out notes it beside the
stream, as metadata of a consumer that reads nothing: it stays for as long as the stream does, and no service may change
the stream itself.
"""

from __future__ import annotations

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamInfo

LIVES = "iot-lives"
"""The consumer, and its metadata: how often the stream is known to have lost what it held."""


async def noted_losses(jetstream: JetStreamContext, stream: str) -> int:
    """How many. Raises what nats-py raises."""
    try:
        return _lives((await jetstream.consumer_info(stream, LIVES)).config.metadata)
    except nats.js.errors.NotFoundError:
        return 0


async def note_losses(jetstream: JetStreamContext, stream: str, count: int) -> None:
    """Whoever else finds the same one out writes the same. Raises what nats-py raises."""
    await jetstream.add_consumer(
        stream,
        ConsumerConfig(
            name=LIVES,
            durable_name=LIVES,
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.NEW,
            metadata={LIVES: str(count)},
        ),
    )


def identity_of(info: StreamInfo, losses: int) -> str:
    """It changes with the stream, and with each of its losses."""
    lives = _lives(info.config.metadata) + losses  # 0.1.0 noted them in the stream's own metadata
    return f"{info.created}, lost {lives} times" if lives else str(info.created)


def _lives(metadata: dict[str, str] | None) -> int:
    return int((metadata or {}).get(LIVES, "0"))
