"""The streams of events and of new readings: what applications are told, for as long as there is space."""

from __future__ import annotations

from nats.js.api import DiscardPolicy, PersistMode, RetentionPolicy, StorageType, StreamConfig

from iot_system.adapters.nats.events import EVENTS, READINGS, SUBJECTS
from iot_system.settings import StreamSettings

EVENTS_MAX_AGE_S = 24 * 3600.0
READINGS_MAX_BYTES = 32 << 20


def log_streams(settings: StreamSettings) -> list[StreamConfig]:
    """Of new readings nobody waits until they are on the disk; but the stream is there after a restart."""
    return [
        _config(EVENTS, max_bytes=settings.events_max_bytes, max_age=EVENTS_MAX_AGE_S, num_replicas=settings.replicas),
        _config(READINGS, max_bytes=READINGS_MAX_BYTES, num_replicas=1, persist_mode=PersistMode.ASYNC),
    ]


def _config(name: str, **limits: object) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=[f"{SUBJECTS[name]}.*"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        allow_direct=True,
        **limits,  # type: ignore[arg-type]
    )
