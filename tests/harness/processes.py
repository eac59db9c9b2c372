"""The whole system as processes of this machine, each of which can be killed and started again.

One broker that keeps what it acknowledges, Postgres, an actor-system process with its Ray processes, and API processes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import msgspec
from chart_harness.loopback import free_port
from chart_harness.waiting import wait_until
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM, API
from iot_system.commands.installation import OURS, make_folder
from iot_system.commands.processes import descendants
from iot_system.settings import DatabaseRoleSettings

from tests.harness.nats import ADMINISTRATOR, PASSWORD, NatsServer
from tests.harness.postgres import RUNTIME, PostgresServer, running_postgres

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 180.0
STOP_WITHIN_S = 20.0
PODS = 2
SHARDS = 2
PARTITIONS = 16
ACTOR = b"ray::Host"
"""How Ray titles the processes of our actors."""
SPARE = b"ray::IDLE"
"""And one that waits to host such an actor."""
BEGINNING = b"default_worker.py"
"""What runs in a process that has no title yet."""


class Program:
    """One of our services; ``port`` answers HTTP."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], port: int) -> None:
        self.name = name
        self.url = f"http://{HOST}:{port}"
        self.log = folder / f"{name}-{port}.log"
        self._folder = folder
        self._environment = environment
        self._overlay: Mapping[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Begin; see `wait_until_ready`."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "iot_system", self.name],
                env={**self._environment, **self._overlay},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Raises AssertionError with the end of its log."""
        try:
            wait_until(self.is_ready, within_s=READY_WITHIN_S, why=f"{self.name} is not ready")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.log.read_text()[-2000:]}") from None

    def is_ready(self) -> bool:
        """Whether it says so."""
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} ended\n{self.log.read_text()[-2000:]}"
        try:
            # Unverified, since there is nothing to verify: to read certificates would cost more than the question.
            return httpx.get(f"{self.url}/ready", trust_env=False, timeout=5, verify=False).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """SIGKILL to it, which runs still, and to all that it has started."""
        assert self._process is not None
        everybody = descendants(self.pid)
        assert self._process.poll() is None, f"{self.name} had ended before it was killed"
        kill(self.pid)
        _kill_rest(everybody)
        self._process.wait()

    def change(self, overlay: Mapping[str, str]) -> None:
        """Let it end, and begin again with these variables beside its own; return when it is ready."""
        self.stop()
        self._overlay = overlay
        self.start()
        self.wait_until_ready()

    def stop(self) -> None:
        """Let it end by itself, and leave nothing of it."""
        if self._process is None:
            return
        children = descendants(self.pid)
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_WITHIN_S)
        _kill_rest([self.pid, *children])
        self._process.wait()


class Plant:
    """All of them, over one database and one broker that are there already."""

    def __init__(self, folder: Path, broker: NatsServer, database: PostgresServer, modules: Iterable[Path]) -> None:
        self.broker = broker
        self.database = database
        self._roles = _variables(database.roles)
        self.admin_token = secrets.token_urlsafe(24)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self._environment = clean | {
            "PYTHONPATH": os.pathsep.join(filter(None, (*map(str, modules), os.environ.get("PYTHONPATH")))),
            "TMPDIR": str(folder),
            "RAY_TMPDIR": str(folder),
            "NATS_URL": broker.url,
            "DATABASE_URL": database.url_of(RUNTIME),
            "IOT_LISTEN_HOST": HOST,
            "IOT_PARTITIONS": str(PARTITIONS),
            "IOT_SHARDS_PER_NODE": str(SHARDS),
            "IOT_DRAIN_TIMEOUT_S": "2",
            "IOT_ADMIN_TOKEN": self.admin_token,
        }
        port = free_port()
        self.actors = Program(
            "actor-system", folder, self._environment | _user(ACTOR_SYSTEM) | {"ACTOR_SYSTEM_PORT": str(port)}, port
        )
        self.mqtt_ports = [free_port() for _ in range(PODS)]
        self.pods = [self._pod(folder, mqtt_port) for mqtt_port in self.mqtt_ports]

    def start(self) -> None:
        """Return when everything is ready, both shards too."""
        for subcommand, rights in (("migrate", self._roles), ("streams", _user(ADMINISTRATOR))):
            preparing = [sys.executable, "-m", "iot_system", subcommand]
            subprocess.run(preparing, env=self._environment | rights, check=True, capture_output=True)
        for program in (self.actors, *self.pods):
            program.start()
        for program in (self.actors, *self.pods):
            program.wait_until_ready()
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Return when all processes are there and serve."""
        wait_until(
            lambda: len(self.shards()) == SHARDS and self.coordinators(),
            within_s=READY_WITHIN_S,
            why="a shard or the coordinator is missing",
        )
        for program in (self.actors, *self.pods):
            program.wait_until_ready()

    def of_first_release(self, tree: Path) -> Mapping[str, str]:
        """What makes a program that of 0.1.0, from its ``tree``: it knows administrators alone."""
        path = os.pathsep.join((str(tree / "runtime" / "src"), self._environment["PYTHONPATH"]))
        administrator = {"NATS_USER": ADMINISTRATOR, "NATS_PASSWORD": PASSWORD}
        return {"PYTHONPATH": path, "DATABASE_URL": self.database.url} | administrator

    def stop(self) -> None:
        """End all but broker and database."""
        for program in (*self.pods, self.actors):
            program.stop()

    def shards(self) -> list[int]:
        """Process ids of the shards: those of our Ray actors that talk to the broker."""
        return [pid for pid in self._actors() if self._talks_to_broker(pid)]

    def coordinators(self) -> list[int]:
        """Process id of the coordinator: it needs no broker. A shard that only starts looks like it."""
        return [pid for pid in self._actors() if not self._talks_to_broker(pid)]

    def replace_actors(self) -> None:
        """Have Ray start new processes for all of them; return when none is there that was before."""
        former = [pid for pid in descendants(self.actors.pid) if _may_host(pid)]
        _kill_rest(former)
        wait_until(
            lambda: not any(_may_host(pid) for pid in former), within_s=STOP_WITHIN_S, why="a process outlives its end"
        )

    def _actors(self) -> list[int]:
        return sorted(pid for pid in descendants(self.actors.pid) if _read(pid, "cmdline").startswith(ACTOR))

    def _talks_to_broker(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            links = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}
            return not links.isdisjoint(_sockets_to(self.broker.port))
        return False

    def _pod(self, folder: Path, mqtt_port: int) -> Program:
        port = free_port()
        ports = {"IOT_HTTP_PORT": str(port), "IOT_MQTT_PORT": str(mqtt_port)}
        return Program("api", folder, self._environment | _user(API) | ports, port)


@contextlib.contextmanager
def running_plant(*, modules: Sequence[Path] = (ROOT,)) -> Iterator[Plant]:
    """Everything for the time of some tests; what lies below ``modules`` can be named as behaviours."""
    folder = make_folder()
    broker = NatsServer(folder, sync_always=True)
    try:
        with running_postgres() as database:
            plant = Plant(folder, broker.start(), database, modules)
            try:
                plant.start()
                yield plant
            finally:
                plant.stop()
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


def kill(pid: int) -> None:
    """SIGKILL. Raises ProcessLookupError where nobody is there to be killed."""
    os.kill(pid, signal.SIGKILL)


def freeze(pid: int) -> None:
    """It stands still until `thaw`; its connections stay open."""
    os.kill(pid, signal.SIGSTOP)


def thaw(pid: int) -> None:
    """It goes on."""
    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """It stands still, at most until the end; it may be thawed or killed before."""
    freeze(pid)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            thaw(pid)


def _kill_rest(pids: list[int]) -> None:
    """Whoever of these is there still."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _may_host(pid: int) -> bool:
    """Whether it is a process of Ray's that hosts an actor, or may come to."""
    title, *arguments = _read(pid, "cmdline").split(b"\0")
    return title.startswith((ACTOR, SPARE)) or any(one.endswith(BEGINNING) for one in arguments[:1])


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _sockets_to(port: int) -> set[str]:
    """Open connections of this machine to a port of loopback, named as a process's file descriptors name them."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "01" and row[2] == f"0100007F:{port:04X}"}


def _user(service: str) -> dict[str, str]:
    return {"NATS_USER": service, "NATS_PASSWORD": PASSWORD}


def _variables(roles: DatabaseRoleSettings) -> dict[str, str]:
    """What they are read from."""
    return {f"DATABASE_{name.upper()}": value for name, value in msgspec.structs.asdict(roles).items()}
