"""The Ray processes of this pod: a worker node, the head, or both in one (a single-node installation)."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import ray
import structlog

from iot_system.adapters.ray.placement import NODE_RESOURCE
from iot_system.errors import Unavailable

GCS_PORT = 6379
OBJECT_STORE_BYTES = 80_000_000
LOCK_WAIT_S = 60.0
STOP_WAIT_S = 10.0
PORTS = {
    "node-manager-port": 10101,
    "object-manager-port": 10102,
    "dashboard-agent-listen-port": 10103,
    "dashboard-agent-grpc-port": 10104,
    "runtime-env-agent-port": 10105,
    "metrics-export-port": 10106,
}
"""Fixed, so that network policies can name them."""
WORKER_PORTS = range(10110, 10150)
QUIET = {
    "RAY_enable_metrics_collection": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    # Longer than a head takes to come back, even on another node.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
    # Partitions are handed over before the node stops, so Ray itself has nothing to drain.
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "1",
}
WATCHFUL = {
    # A dead node is known after about 4 s (13 s by default).
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "1000",
}
log = structlog.get_logger()


class RayNode:
    """``ray start --block`` as a child process."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        self._arguments = arguments
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    def worker(cls, address: str, head: str) -> RayNode:
        """A node at ``address`` (this pod's IP) that joins ``head`` (host:port)."""
        return cls(
            f"--address={head}",
            f"--node-ip-address={address}",
            "--num-cpus=0",
            f'--resources={{"{NODE_RESOURCE}": 1}}',
            environment=QUIET,
        )

    @classmethod
    def head(cls, address: str, storage: Path | None) -> RayNode:
        """The head at ``address``, which runs no user work; its state lives in ``storage`` and survives it."""
        durable = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(storage)} if storage else {}
        return cls(
            "--head",
            f"--port={GCS_PORT}",
            f"--node-ip-address={address}",
            "--num-cpus=0",
            "--include-dashboard=false",
            "--no-monitor",
            environment=QUIET | WATCHFUL | durable,
        )

    async def start(self) -> None:
        """Start the processes; they are not ready yet when this returns."""
        ports = [f"--{name}={port}" for name, port in PORTS.items()]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ray.scripts.scripts",
            "start",
            *self._arguments,
            *ports,
            f"--worker-port-list={','.join(map(str, WORKER_PORTS))}",
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            "--include-log-monitor=false",
            "--disable-usage-stats",
            "--block",
            env=os.environ | self._environment,
            stdout=sys.stderr,
        )

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return self._process is not None

    def why_not_alive(self) -> str | None:
        """The exit of the child, if it has ended."""
        if self._process is None or self._process.returncode is None:
            return None
        return f"ray start ended with exit code {self._process.returncode}"

    async def stop(self) -> None:
        """End the processes; idempotent."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_WAIT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def connect(namespace: str, *, head: str | None, address: str) -> str:
    """Connect this process to the Ray node at ``address`` and return the node's id.

    Without ``head`` Ray itself, head included, starts in this process. Blocks. Raises `Unavailable` while the node is
    not up.
    """
    options: dict[str, Any] = {"address": head, "_node_ip_address": address}
    if head is None:
        os.environ.update(QUIET)
        options = {
            "address": "local",
            "num_cpus": 0,
            "resources": {NODE_RESOURCE: 1},
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    try:
        ray.init(
            namespace=namespace,
            log_to_driver=False,
            logging_level=logging.ERROR,
            ignore_reinit_error=True,
            **options,
        )
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise Unavailable(f"Ray is not up yet: {error}") from error
    return str(ray.get_runtime_context().get_node_id())


def disconnect() -> None:
    """Leave Ray; what `connect` started here ends."""
    ray.shutdown()


async def wait_for_lock(storage: Path) -> None:
    """Wait until no other process holds the head's storage: one that was killed may still hold it for a moment.

    Raises `Unavailable` after a minute.
    """
    deadline = time.monotonic() + LOCK_WAIT_S
    for lock in await asyncio.to_thread(lambda: list(storage.rglob("LOCK"))):
        while _is_held(lock):
            if time.monotonic() > deadline:
                raise Unavailable(f"{lock} is still held by another process after {LOCK_WAIT_S:g} s")
            log.info("waiting for the storage's lock", lock=str(lock))
            await asyncio.sleep(0.5)


def _is_held(lock: Path) -> bool:
    with lock.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
