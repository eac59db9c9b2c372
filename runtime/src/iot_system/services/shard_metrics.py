"""What a shard counts."""

from prometheus_client import Counter, Gauge, Histogram

APPLIED = Counter("iot_shard_messages_applied_total", "Telemetry messages committed")
ORPHANS = Counter("iot_shard_orphans_total", "Messages of devices that were deleted before their frame was applied")
BROKEN_FRAMES = Counter("iot_shard_broken_frames_total", "Frames that could not be decoded, passed over")
PASSIVATED = Counter("iot_shard_passivated_total", "Actors that left memory because they were idle")
APPLY_SECONDS = Histogram("iot_shard_apply_seconds", "From a batch of frames to its commit")
OWNED = Gauge("iot_shard_partitions", "Partitions owned", ["shard"], multiprocess_mode="mostrecent")
LAG = Gauge("iot_shard_lag_frames", "Frames that wait in the stream", ["shard"], multiprocess_mode="mostrecent")
UNARCHIVED = Gauge(
    "iot_database_unarchived_seconds",
    "For how long what is written to the database could not be archived; 0 while it can, or without an archive",
    ["shard"],
    multiprocess_mode="mostrecent",
)
AWAY = Gauge(
    "iot_shard_store_away",
    "1 while the store takes nothing and is tried again; the log says why",
    ["shard"],
    multiprocess_mode="mostrecent",
)
