"""The streams of events and of new readings: what applications are told, for as long as there is space."""

from __future__ import annotations

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from iot_system.adapters.nats.events import EVENTS, READINGS, SUBJECTS
from iot_system.adapters.nats.providing import provide
from iot_system.settings import StreamSettings

EVENTS_MAX_AGE_S = 24 * 3600.0
READINGS_MAX_BYTES = 32 << 20


async def provide_logs(jetstream: JetStreamContext, settings: StreamSettings) -> None:
    """Make what is missing of the two, and bring their limits up to date. Raises what nats-py raises."""
    for wanted in (
        _config(
            EVENTS,
            storage=StorageType.FILE,
            max_bytes=settings.events_max_bytes,
            max_age=EVENTS_MAX_AGE_S,
            num_replicas=settings.replicas,
        ),
        _config(READINGS, storage=StorageType.MEMORY, max_bytes=READINGS_MAX_BYTES, num_replicas=1),
    ):
        await provide(jetstream, wanted)


def _config(name: str, **limits: object) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=[f"{SUBJECTS[name]}.*"],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        allow_direct=True,
        **limits,  # type: ignore[arg-type]
    )
