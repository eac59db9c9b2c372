"""A real nats-server with JetStream, on loopback, in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Self

import nats.errors
from chart_harness.loopback import free_port
from iot_system.adapters.nats.connection import connect, disconnect
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM, API, permissions_file, variable_of
from iot_system.settings import BrokerSettings
from nats.aio.client import Client

START_TIMEOUT_S = 60.0
ADMINISTRATOR = "administrator"
PASSWORD = "of-these-tests"
_USERS = f"""include ./permissions.conf
authorization {{
  users: [
    {{user: {ADMINISTRATOR}, password: {PASSWORD}}}
    {{user: {API}, password: {PASSWORD}, permissions: ${variable_of(API)}}}
    {{user: {ACTOR_SYSTEM}, password: {PASSWORD}, permissions: ${variable_of(ACTOR_SYSTEM)}}}
  ]
}}
"""


class NatsServer:
    """``kill`` and ``start`` again to see what survives: its data stays in ``folder``."""

    def __init__(
        self,
        folder: Path,
        *,
        sync_always: bool = False,
        max_payload: str = "8MB",
        store: Path | None = None,
        max_file_store: str = "4GB",
        nameless: bool = True,
        settings: str = "",
    ) -> None:
        """``store`` is where its streams lie, in ``folder`` by default; ``settings`` are further lines.

        Who is ``nameless`` is the administrator, or is refused, as in the chart.
        """
        self.port = free_port()
        self.monitoring = free_port()
        self._folder = folder
        self._config = folder / "nats.conf"
        (folder / "permissions.conf").write_text(permissions_file())
        self._config.write_text(
            f"listen: 127.0.0.1:{self.port}\nhttp: 127.0.0.1:{self.monitoring}\n{_USERS}"
            f"{f'no_auth_user: {ADMINISTRATOR}' if nameless else ''}\n"
            f"max_payload: {max_payload}\n"
            f'jetstream {{ store_dir: "{store or folder}", max_file_store: {max_file_store}'
            f"{', sync_interval: always' if sync_always else ''} }}\n"
            f"{settings}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def settings(self, user: str = ADMINISTRATOR) -> BrokerSettings:
        """How a service reaches it: as itself, with its permissions."""
        return BrokerSettings(urls=self.url, user=user, password=PASSWORD)

    @property
    def url(self) -> str:
        """For clients; who names no user is the administrator."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Return when it accepts connections."""
        binary = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"
        log = (self._folder / "nats.log").open("ab")
        self._process = subprocess.Popen([binary, "-c", self._config], stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "nats.log").read_text()[-2000:])

    def change(self, written: str, instead: str) -> None:
        """Have a part of its configuration read anew, with something else in its place."""
        assert self._process is not None
        text = self._config.read_text()
        assert written in text
        self._config.write_text(text.replace(written, instead))
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """It does nothing, and its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def retire(self) -> None:
        """Begin to leave, as the pod's preStop has it do: lame duck mode."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR2)

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stop for good."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


class NatsCluster:
    """Servers that hold copies of the same streams, each with a store of its own."""

    def __init__(self, folder: Path, stores: Sequence[Path], *, settings: str = "") -> None:
        """``settings`` are further lines of each server's configuration."""
        ports = [free_port() for _ in stores]
        routes = ", ".join(f"nats://127.0.0.1:{port}" for port in ports)
        self.servers: list[NatsServer] = []
        for number, (port, store) in enumerate(zip(ports, stores, strict=True)):
            own = folder / f"server-{number}"
            own.mkdir()
            cluster = f"cluster {{ name: tests, listen: 127.0.0.1:{port}, routes: [{routes}] }}"
            lines = f"server_name: server-{number}\n{cluster}\n{settings}"
            self.servers.append(NatsServer(own, sync_always=True, store=store, settings=lines))

    def settings(self, user: str = ADMINISTRATOR) -> BrokerSettings:
        """As `NatsServer.settings`: any of them will do."""
        urls = ",".join(server.url for server in self.servers)
        return BrokerSettings(urls=urls, user=user, password=PASSWORD)


@contextlib.asynccontextmanager
async def connected(server: NatsServer, user: str = ADMINISTRATOR) -> AsyncIterator[Client]:
    """A connection of this user, for the time of a test; as a service has it."""
    client = await connect(server.settings(user), name="test")
    try:
        yield client
    finally:
        await disconnect(client)


async def flushed(client: Client) -> None:
    """Return when the server has done what was asked of it, and JetStream after it.

    nats-py writes a PING past what still waits in its buffer: the first PONG only says that this has left.
    """
    for _ in range(2):
        await client.flush(timeout=10)


async def answers(client: Client) -> bool:
    """Whether a server that this client is connected to answers it."""
    try:
        await client.flush(timeout=2)
    except nats.errors.Error:
        return False
    return client.is_connected


@contextlib.asynccontextmanager
async def running_nats(folder: Path, *, sync_always: bool = False) -> AsyncIterator[NatsServer]:
    """A server for the time of a test."""
    server = NatsServer(folder, sync_always=sync_always)
    await asyncio.to_thread(server.start)
    try:
        yield server
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def running_cluster(folder: Path, *, settings: str = "") -> AsyncIterator[NatsCluster]:
    """Three servers for the time of a test; ``settings`` as of `NatsCluster`."""
    cluster = NatsCluster(folder, [folder / f"store-{number}" for number in range(3)], settings=settings)
    try:
        for server in cluster.servers:
            await asyncio.to_thread(server.start)
        yield cluster
    finally:
        for server in cluster.servers:
            server.stop()
