"""The streams of the broker: made where they are missing, their limits kept up to date."""

from __future__ import annotations

import time

import nats.errors
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from iot_system.adapters.nats.providing import provide
from iot_system.errors import Unavailable

MESSAGES = "IOT_MESSAGES"
MESSAGES_SUBJECT = "iot.app"
RETAINED = "IOT_RETAINED"
RETAINED_SUBJECT = "iot.retained"
SESSIONS = "IOT_SESSIONS"
SESSIONS_SUBJECT = "iot.sessions"
MESSAGES_AGE_S = 86_400.0
MESSAGES_BYTES = 256 << 20
IDS_WINDOW_S = 3_600.0
RETAINED_BYTES = 64 << 20
RETAINED_COUNT = 100_000
SESSIONS_BYTES = 256 << 20
TIMEOUT_S = 5.0


async def provide_streams(client: Client, *, replicas: int) -> None:
    """Returns when all streams are there. Raises `Unavailable`."""
    jetstream = client.jetstream(timeout=TIMEOUT_S)
    try:
        for wanted in _wanted(replicas):
            # A stream made anew goes on behind every sequence of the one that was lost.
            await provide(jetstream, wanted, first_seq=time.time_ns() // 1000)
    except (nats.errors.Error, TimeoutError) as error:
        raise Unavailable(f"JetStream cannot provide the broker's streams: {error}") from error


def _wanted(replicas: int) -> list[StreamConfig]:
    messages = StreamConfig(
        name=MESSAGES,
        subjects=[f"{MESSAGES_SUBJECT}.>"],
        discard=DiscardPolicy.OLD,
        max_bytes=MESSAGES_BYTES,
        max_age=MESSAGES_AGE_S,
        duplicate_window=IDS_WINDOW_S,
    )
    retained = StreamConfig(
        name=RETAINED,
        subjects=[f"{RETAINED_SUBJECT}.>"],
        discard=DiscardPolicy.NEW,
        max_bytes=RETAINED_BYTES,
        max_msgs=RETAINED_COUNT,
        max_msgs_per_subject=1,
        allow_msg_ttl=True,
    )
    sessions = StreamConfig(
        name=SESSIONS,
        subjects=[f"{SESSIONS_SUBJECT}.*"],
        discard=DiscardPolicy.NEW,
        max_bytes=SESSIONS_BYTES,
        max_msgs_per_subject=1,
    )
    common = {"retention": RetentionPolicy.LIMITS, "storage": StorageType.FILE, "num_replicas": replicas}
    return [one.evolve(**common) for one in (messages, retained, sessions)]
