"""The database's image on folders of this machine, configured as the chart does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chart_harness.waiting import wait_until

from ci.engine import Engine
from tests.images.test_together import POSTGRES, READY_WITHIN_S, running
from tests.render.rendered import BY_VOLUME, RESTORED, TESTING, Installation

WRITABLE = "mode=1777"
DATABASE = "iot"
REPOSITORY, DATA = "/var/lib/pgbackrest", "/var/lib/postgresql/data"
ENV = {
    "PGBACKREST_CONFIG": "/etc/postgresql/pgbackrest.conf",
    "PGBACKREST_STANZA": "main",
    "PGBACKREST_PG1_USER": DATABASE,
    "POSTGRES_USER": DATABASE,
    "POSTGRES_DB": DATABASE,
}
FOLLOWERS = {"REPLICATION_USER": "replication", "REPLICATION_PASSWORD": 'it\'s \\ "followed"'}
SERVE = ("-c", "config_file=/etc/postgresql/postgresql.conf")


class Disks:
    """The folders that stand for volumes and the ConfigMap."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def options(self, data: str, *, restores: bool = False) -> tuple[str, ...]:
        """How a container gets the volume ``data`` and the repository, which who ``restores`` cannot write to."""
        sets = (RESTORED if restores else BY_VOLUME) | {"global.tls.mode": "off"}
        config = self._writable("restored" if restores else "backed-up")
        for name, text in Installation("disks", (TESTING,), sets).one("ConfigMap", "postgres-config")["data"].items():
            (config / name).write_text(text)
        mode = ":ro" if restores else ""
        return (
            f"--volume={config}:/etc/postgresql:ro",
            f"--volume={self._writable(data)}:{DATA}",
            f"--volume={self._writable('repository')}:{REPOSITORY}{mode}",
            "--network=none",
            f"--tmpfs=/var/run/postgresql:{WRITABLE}",
        )

    def folder(self, name: str) -> Path:
        """Where the volume ``name`` lies on this machine."""
        return self._folder / name

    def _writable(self, name: str) -> Path:
        path = self.folder(name)
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
        return path


class Server:
    """A running database with one table of numbers."""

    def __init__(self, containers: Engine, made: str, password: str) -> None:
        self._containers = containers
        self._made = made
        self._exec = (
            *("exec", "--env=PGHOST=127.0.0.1", f"--env=PGUSER={DATABASE}", f"--env=PGDATABASE={DATABASE}"),
            *(f"--env=PGPASSWORD={password}", made),
        )

    def answers(self) -> bool:
        return self._containers.works(*self._exec, "psql", "--command=select 1")

    def sql(self, text: str) -> str:
        return self._containers.run(*self._exec, "psql", "--no-align", "--tuples-only", f"--command={text}").strip()

    def lets_follow(self, role: str, password: str) -> bool:
        """Whether who has this password may follow it, as another server does."""
        how = f"host=127.0.0.1 replication=true user={role}"
        ask = ("psql", how, "--command=IDENTIFY_SYSTEM")
        return self._containers.works("exec", f"--env=PGPASSWORD={password}", self._made, *ask)

    def back_up(self, kind: str) -> str:
        return self._containers.run(*self._exec, "/usr/local/bin/backup", kind)

    def let_a_second_pass(self) -> None:
        """pgBackRest knows the end of a backup to the second: a moment in that one is not after it."""
        later = self.sql("select date_trunc('second', now()) + interval '1 second'")
        wait_until(lambda: self.sql(f"select now() >= '{later}'") == "t", within_s=READY_WITHIN_S, every_s=0.1)

    def archive_everything(self) -> None:
        last = self.sql("select pg_walfile_name(pg_switch_wal())")
        archived = f"select last_archived_wal >= '{last}' from pg_stat_archiver"
        wait_until(lambda: self.sql(archived) == "t", within_s=READY_WITHIN_S)


@contextmanager
def serving(containers: Engine, options: tuple[str, ...], password: str) -> Iterator[Server]:
    with running(containers, POSTGRES, *SERVE, options=options, env={**ENV, "POSTGRES_PASSWORD": password}) as made:
        server = Server(containers, made, password)
        wait_until(server.answers, within_s=READY_WITHIN_S, every_s=0.5, why="Postgres is silent")
        yield server
