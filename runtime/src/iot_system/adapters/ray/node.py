"""The Ray processes of this pod: a worker node, the head, or both in one (a single-node installation)."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any, cast

import msgspec
import ray
import structlog

from iot_system.adapters.ray.machines import NODE_RESOURCE, label_of
from iot_system.errors import Unavailable

GCS_PORT = 6379
OBJECT_STORE_BYTES = 80_000_000
LOCK_WAIT_S = 60.0
STOP_WAIT_S = 10.0
HEAD_WAIT_S = 10.0
CONNECT_TIMEOUT_S = 1.0
KNOCK_S = 0.1
FIXED_PORTS = (
    "--node-manager-port=10101",
    "--object-manager-port=10102",
    "--dashboard-agent-listen-port=10103",
    "--dashboard-agent-grpc-port=10104",
    "--runtime-env-agent-port=10105",
    "--metrics-export-port=10106",
    f"--worker-port-list={','.join(map(str, range(10110, 10150)))}",
)
"""So that network policies can name them."""
QUIET = {
    "RAY_enable_metrics_collection": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    # What shards log belongs into the log of their pod, and no file of Ray's grows in it.
    "RAY_LOG_TO_STDERR": "1",
    "RAY_BACKEND_LOG_LEVEL": "warning",
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
LINE_LIMIT = 1 << 20
_TROUBLE = re.compile(r"^\[[^\]]* [EF] \d|\b(ERROR|CRITICAL)\b")
"""Ray's own lines of that weight, by its C++ and by its Python processes."""
log = structlog.get_logger()


class Hosting(msgspec.Struct, frozen=True):
    """A node that may host shards and the coordinator.

    Ray starts as many worker ``processes`` with the node itself, each with ``module`` imported, as soon as it can:
    an actor that had to wait for its process would start some seconds later.
    """

    processes: int
    module: str

    @property
    def arguments(self) -> tuple[str, ...]:
        return f"--num-cpus={self.processes}", f'--resources={{"{NODE_RESOURCE}": 1}}'

    @property
    def environment(self) -> dict[str, str]:
        return {"RAY_preload_python_modules": self.module}


class RayNode:
    """``ray start --block`` as a child process; ``gcs`` is the address (host:port) of its cluster's head."""

    def __init__(self, gcs: str, *arguments: str, environment: dict[str, str]) -> None:
        self.gcs = gcs
        self._arguments = arguments
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._relaying: asyncio.Task[None] | None = None

    @classmethod
    def worker(cls, address: str, head: str, hosting: Hosting, machine: str | None) -> RayNode:
        """A node at ``address`` (this pod's IP) that joins ``head`` (host:port)."""
        joining = (f"--address={head}", f"--node-ip-address={address}", *label_of(machine))
        return cls(head, *joining, *hosting.arguments, *FIXED_PORTS, environment=QUIET | hosting.environment)

    @classmethod
    def head(cls, address: str, storage: Path | None, machine: str | None) -> RayNode:
        """The head at ``address``, which runs no user work; its state lives in ``storage`` and survives it."""
        durable = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(storage)} if storage else {}
        leading = (*_leading(address, GCS_PORT), *label_of(machine), "--num-cpus=0")
        return cls(f"{address}:{GCS_PORT}", *leading, *FIXED_PORTS, environment=QUIET | WATCHFUL | durable)

    @classmethod
    def single(cls, address: str, hosting: Hosting) -> RayNode:
        """Head and node in one, on free ports, so that several fit on one machine.

        Not watchful: nobody would take over from a node that a busy machine keeps from answering for some seconds.
        """
        port = _free_port(address)
        arguments = (*_leading(address, port), *hosting.arguments)
        return cls(f"{address}:{port}", *arguments, environment=QUIET | hosting.environment)

    async def start(self) -> None:
        """Start the processes; they are not ready yet when this returns."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ray.scripts.scripts",
            "start",
            *self._arguments,
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            "--include-log-monitor=false",
            "--disable-usage-stats",
            "--block",
            env=os.environ | self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for this process, which ends the child when it has handed over
            limit=LINE_LIMIT,
        )
        assert self._process.stdout is not None
        if self._relaying is not None:
            self._relaying.cancel()
        self._relaying = asyncio.create_task(relay(self._process.stdout))

    @property
    def running(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None and self._process.returncode is None

    def why_not_alive(self) -> str | None:
        """The exit of the child, if it has ended."""
        if self._process is None or self._process.returncode is None:
            return None
        return f"ray start ended with exit code {self._process.returncode}"

    async def reach_head(self) -> None:
        """Return once the head accepts connections: whoever asks it before waits for half a minute and more.

        Raises `Unavailable` where it does not for `HEAD_WAIT_S`.
        """
        deadline_s = time.monotonic() + HEAD_WAIT_S
        while (problem := await self.why_not_reached()) is not None:
            if time.monotonic() > deadline_s:
                raise Unavailable(problem)
            await asyncio.sleep(KNOCK_S)

    async def why_not_reached(self) -> str | None:
        """What is wrong with a connection to the head, or nothing."""
        host, _, port = self.gcs.rpartition(":")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, writer = await asyncio.open_connection(host, int(port))
        except (OSError, TimeoutError) as error:
            return f"the Ray head at {self.gcs} does not accept connections: {error or 'no answer'}"
        writer.close()
        return None

    async def stop(self) -> None:
        """End the processes; idempotent."""
        if not self.running:
            return
        assert self._process is not None
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_WAIT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._relaying is not None:
            self._relaying.cancel()


async def relay(output: asyncio.StreamReader) -> None:
    """Pass on what Ray's processes write: a JSON line of our own shards as it is, Ray's own as an entry of the log."""
    while True:
        try:
            line = await output.readline()
        except ValueError:  # longer than `LINE_LIMIT`, and passed over
            continue
        if not line:
            return
        if line.startswith(b"{"):
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
        elif text := line.decode(errors="replace").strip():
            tell = log.warning if _TROUBLE.search(text) else log.debug
            tell("ray", line=text)


def _leading(address: str, port: int) -> tuple[str, ...]:
    """Arguments of a head."""
    return "--head", f"--port={port}", f"--node-ip-address={address}", "--include-dashboard=false", "--no-monitor"


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as listener:
        return int(listener.getsockname()[1])


def connect(namespace: str, *, head: str, address: str) -> str:
    """Connect this process to the Ray node at ``address``, of the cluster of ``head`` (host:port); returns its id.

    Blocks. Raises `Unavailable` while the node is not up.
    """
    try:
        ray.init(
            namespace=namespace,
            address=head,
            _node_ip_address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            ignore_reinit_error=True,
        )
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise Unavailable(f"Ray is not up yet: {error}") from error
    # So ends, with its next answer, Ray's thread that prints errors of other processes. While the head is away it gets
    # one at once, ten thousand times a second: it would take a whole processor for itself.
    cast("Any", ray)._private.worker.global_worker.threads_stopped.set()
    return str(ray.get_runtime_context().get_node_id())


def disconnect() -> None:
    """Leave Ray, whose processes go on."""
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
