"""Placement without Ray: all shards in this process."""
