"""What shards count, over processes that come and go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector


def shard_process_that_owns(count: int, folder: Path) -> None:
    program = f"from iot_system.services.shard_metrics import OWNED; OWNED.labels('a').set({count})"
    environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", program], env=environ, check=True, timeout=60)


def test_of_a_shard_that_was_restarted_the_new_process_counts_alone(tmp_path: Path) -> None:
    shard_process_that_owns(5, tmp_path)
    shard_process_that_owns(3, tmp_path)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(tmp_path))  # type: ignore[no-untyped-call]
    lines = generate_latest(registry).decode().splitlines()
    assert [line for line in lines if line.startswith("iot_shard_partitions{")] == [
        'iot_shard_partitions{shard="a"} 3.0'
    ]
