"""The streams of the broker of applications' topics."""

from __future__ import annotations

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

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


def broker_streams(*, replicas: int) -> list[StreamConfig]:
    """As they should be."""
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
