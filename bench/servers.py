"""The servers of all sides: started on free loopback ports, ended as children of this process."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
from iot_system.commands.installation import HOST, command, free_port, nats_server
from iot_system.commands.processes import Child, Children
from iot_system.errors import Unavailable

from bench.programs import clean_environment

READY_TIMEOUT_S = 120.0
POLL_S = 0.05


class System:
    """This system as it is installed, all in one: nats-server, one actor-system process on Ray, and one API.

    ``settings`` are variables beside the defaults. ``broker_port`` is known after the start.
    """

    _api: Child
    _environment: Mapping[str, str]

    def __init__(
        self, children: Children, folder: Path, database_url: str, *, settings: Mapping[str, str] | None = None
    ) -> None:
        self._children = children
        self._folder = folder
        self._database_url = database_url
        self._settings = settings or {}
        self._actors_port = free_port()
        self.broker_port = 0
        self.http_port = free_port()
        self.mqtt_port = free_port()
        self.admin_token = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """Of the REST interface."""
        return f"http://{HOST}:{self.http_port}"

    async def start(self) -> None:
        """Returns when it is ready. Raises `Unavailable` with the end of the log of what failed."""
        self.broker_port = await start_broker(self._children, self._folder, "nats-server")
        environment = clean_environment() | {
            "TMPDIR": str(self._folder),
            "RAY_TMPDIR": str(self._folder),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_urlsafe(24),
            "NATS_URL": f"nats://{HOST}:{self.broker_port}",
            "DATABASE_URL": self._database_url,
            "IOT_LISTEN_HOST": HOST,
            "IOT_DRAIN_TIMEOUT_S": "2",
            "IOT_LOG_LEVEL": "warning",
            **self._settings,
        }
        await _migrate(environment)
        await self._children.run("streams", command("streams"), environment)
        actors = self._start("actor-system", environment | {"ACTOR_SYSTEM_PORT": str(self._actors_port)})
        ports = {"IOT_HTTP_PORT": str(self.http_port), "IOT_MQTT_PORT": str(self.mqtt_port)}
        self._environment = environment | ports | {"IOT_ADMIN_TOKEN": self.admin_token}
        self._api = self._start("api", self._environment)
        await _ready(actors, self._actors_port)
        await _ready(self._api, self.http_port)

    async def restart_api(self) -> None:
        """A new process in the place of the API."""
        self._api.terminate()
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while True:
            if self._api.has_ended:
                break
            _still(self._api, deadline_s, "it does not end")
            await asyncio.sleep(POLL_S)
        self._api = self._start("api", self._environment)
        await _ready(self._api, self.http_port)

    async def applied(self) -> int:
        """Messages whose transaction was committed since the start, as the actor system counts them."""
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"http://{HOST}:{self._actors_port}/metrics")).text
        counters = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return sum(int(float(value)) for name, value in counters if name == "iot_shard_messages_applied_total")

    def _start(self, subcommand: str, environment: Mapping[str, str]) -> Child:
        return self._children.start(subcommand, command(subcommand), environment)


async def start_broker(children: Children, folder: Path, name: str) -> int:
    """A nats-server as the chart has it in production: what is acknowledged is on disk. Returns its port."""
    port = free_port()
    config = folder / f"{name}.conf"
    config.write_text(
        f'listen: "{HOST}:{port}"\nmax_payload: 8MB\n'
        f'jetstream {{ store_dir: "{folder / name}", max_file_store: 8GB, sync_interval: always }}\n'
    )
    child = children.start(name, [nats_server(), "-c", config], clean_environment())
    await _listening(child, port)
    return port


def mosquitto() -> Path:
    """The program. Raises `Unavailable` where there is none."""
    # Debian keeps it where only the administrator's path leads.
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Unavailable("mosquitto, which ours is compared with, is not installed; on Debian: apt install mosquitto")
    return Path(found)


async def start_mosquitto(children: Children, folder: Path, name: str = "mosquitto") -> int:
    """A mosquitto as its own documentation has it, with persistence and no limits on its queues; returns its port.

    It writes its state out from time to time and when it ends. Told to do so with every change, it took a core for that
    and acknowledged no later: slower, and no safer. Raises `Unavailable`.
    """
    port = free_port()
    (data := folder / f"{name}-data").mkdir()
    config = folder / f"{name}.conf"
    config.write_text(
        f"listener {port} {HOST}\nuser {getpass.getuser()}\nallow_anonymous true\nset_tcp_nodelay true\n"
        f"persistence true\npersistence_location {data}/\n"
        "max_queued_messages 0\nmax_inflight_messages 0\n"
    )
    child = children.start(name, [mosquitto(), "-c", config], clean_environment())
    await _listening(child, port)
    return port


async def _migrate(environment: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "iot_system",
        "migrate",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise Unavailable(f"iot-system migrate ended with {process.returncode}: {output.decode()[-2000:]}")


async def _listening(child: Child, port: int) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while True:
        child.check()
        with contextlib.suppress(OSError):
            socket.create_connection((HOST, port), timeout=1).close()
            return
        _still(child, deadline_s, "it does not listen")
        await asyncio.sleep(POLL_S)


async def _ready(child: Child, port: int) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    missing = "no answer yet"
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        while True:
            child.check()
            with contextlib.suppress(httpx.TransportError):
                response = await client.get(f"http://{HOST}:{port}/ready")
                if response.is_success:
                    return
                missing = response.text
            _still(child, deadline_s, missing)
            await asyncio.sleep(POLL_S)


def _still(child: Child, deadline_s: float, missing: str) -> None:
    if time.monotonic() > deadline_s:
        raise Unavailable(f"{child.name} is not ready after {READY_TIMEOUT_S:g} s: {missing}; {child.tail()}")
