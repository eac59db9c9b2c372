"""Ray: places shards and the coordinator, restarts and controls them. It never carries a reading."""
