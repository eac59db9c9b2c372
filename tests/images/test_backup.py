"""The database is backed up, and brought back to a moment, by what the image has and the chart configures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ci.command import CommandError
from ci.engine import Engine
from tests.harness.waiting import wait_until
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

    def _writable(self, name: str) -> Path:
        path = self._folder / name
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
        return path


class Server:
    """A running database with one table of numbers."""

    def __init__(self, containers: Engine, made: str, password: str) -> None:
        self._containers = containers
        self._exec = (
            *("exec", "--env=PGHOST=127.0.0.1", f"--env=PGUSER={DATABASE}", f"--env=PGDATABASE={DATABASE}"),
            *(f"--env=PGPASSWORD={password}", made),
        )

    def answers(self) -> bool:
        return self._containers.works(*self._exec, "psql", "--command=select 1")

    def sql(self, text: str) -> str:
        return self._containers.run(*self._exec, "psql", "--no-align", "--tuples-only", f"--command={text}").strip()

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


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # the containers' user goes through them
    return Disks(tmp_path)


@contextmanager
def serving(containers: Engine, options: tuple[str, ...], password: str) -> Iterator[Server]:
    with running(containers, POSTGRES, *SERVE, options=options, env={**ENV, "POSTGRES_PASSWORD": password}) as made:
        server = Server(containers, made, password)
        wait_until(server.answers, within_s=READY_WITHIN_S, every_s=0.5, why="Postgres is silent")
        yield server


def restore(containers: Engine, options: tuple[str, ...], target: str, password: str) -> str:
    env = {**ENV, "POSTGRES_PASSWORD": password, "RESTORE_TARGET": target}
    variables = (f"--env={name}={value}" for name, value in env.items())
    confined = (
        "--rm",
        "--read-only",
        f"--tmpfs=/tmp:{WRITABLE}",
        "--cap-drop=all",
        "--entrypoint=/usr/local/bin/restore",
    )
    return containers.run("run", *confined, *options, *variables, POSTGRES.full_name)


def test_a_database_comes_back_to_a_moment_and_is_the_newest_once_it_is_the_one_that_counts(
    containers: Engine, disks: Disks
) -> None:
    with serving(containers, disks.options("lost"), "first") as lost:
        lost.sql("create table numbers (number integer)")
        assert "completed successfully" in lost.back_up("diff")
        lost.let_a_second_pass()
        lost.sql("insert into numbers values (1)")
        moment = lost.sql("select now()")
        lost.sql("insert into numbers values (2)")
        lost.archive_everything()

    restore(containers, disks.options("moment", restores=True), moment, "second")
    with serving(containers, disks.options("moment", restores=True), "second") as restored:
        assert restored.sql("select array_agg(number) from numbers") == "{1}"
        restored.sql("insert into numbers values (3)")
        assert restored.sql("show archive_mode") == "off"
    with serving(containers, disks.options("moment"), "second") as counts:
        assert "completed successfully" in counts.back_up("diff")
        counts.sql("insert into numbers values (4)")
        counts.archive_everything()

    restore(containers, disks.options("newest", restores=True), "", "third")
    with serving(containers, disks.options("newest", restores=True), "third") as newest:
        assert newest.sql("select array_agg(number) from numbers") == "{1,3,4}"
    assert "nothing is restored" in restore(containers, disks.options("newest", restores=True), moment, "third")


@pytest.mark.parametrize(
    ("target", "why"),
    [("2020-01-01 00:00:00+00", "unable to find backup set"), ("2030-01-01 00:00:00+00", "recovery ended before")],
)
def test_a_moment_that_no_backup_leads_to_is_refused_and_leaves_no_database(
    containers: Engine, disks: Disks, target: str, why: str
) -> None:
    with serving(containers, disks.options("lost"), "first") as lost:
        lost.back_up("full")
        lost.archive_everything()
    with pytest.raises(CommandError, match=why):
        restore(containers, disks.options("other", restores=True), target, "second")
    with serving(containers, disks.options("other"), "second") as other:  # made as a new one: nothing was in the way
        assert other.sql("select count(*) from pg_tables where schemaname = 'public'") == "0"


def test_a_backup_that_fails_says_why_and_fails_who_asked_for_it(containers: Engine, disks: Disks) -> None:
    options = disks.options("other", restores=True)  # what is restored cannot write to the repository
    with (
        serving(containers, options, "first") as server,
        pytest.raises(CommandError, match=r"(?s)ERROR.*the backup has failed"),
    ):
        server.back_up("full")
