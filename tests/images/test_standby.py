"""A server that is to follow a primary compares logs with it, for two timelines may have one number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from chart_harness.waiting import wait_until

from ci.engine import Engine
from ci.errors import CiError
from tests.images.test_together import POSTGRES, READY_WITHIN_S, running

GIVES_UP = "it is given up and copied anew"
PAGE, RECORD = 8192, 114
"""Bytes of the log, and of a checkpoint's record in it."""
NOT_COMPARED = "not compared with the primary's log"


@dataclass(frozen=True)
class Server:
    """One of several in one container, each with a port and a folder of its own."""

    containers: Engine
    made: str
    port: int

    @property
    def folder(self) -> str:
        return f"/tmp/{self.port}"

    def run(self, *command: str) -> str:
        return self.containers.run("exec", f"--env=PGDATA={self.folder}", self.made, *command)

    def sql(self, text: str) -> str:
        where = ("--host=127.0.0.1", f"--port={self.port}", "--username=iot", "--dbname=postgres")
        return self.run("psql", *where, "--no-align", "--tuples-only", f"--command={text}").strip()

    def initialise(self) -> None:
        self.run("initdb", f"--pgdata={self.folder}", "--username=iot", "--auth=trust", "--no-sync")

    def begin(self) -> str:
        """By the program that Patroni starts: what it says. Raises CiError with that where it does not run."""
        log = f"{self.folder}.log"
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c wal_keep_size=64MB"
        start = f"pg_ctl start --silent --pgdata={self.folder} --log={log} -p /usr/local/bin/standby -o '{options}'"
        return self.run("bash", "-c", f"rm -f {log}; {start} && cat {log} || {{ cat {log} >&2; exit 1; }}")

    def end(self) -> None:
        self.run("pg_ctl", "stop", "--silent", "--mode=fast")

    def kill(self) -> None:
        """Also where it stands still, or does not run."""
        script = 'read -r process < "$PGDATA/postmaster.pid" && kill -CONT $process && pg_ctl stop --mode=immediate'
        self.containers.works("exec", f"--env=PGDATA={self.folder}", self.made, "bash", "-c", script)

    def copy(self, primary: Server) -> None:
        """Become its standby, which does not run yet."""
        source = f"--dbname=host=127.0.0.1 port={primary.port} user=iot"
        self.run("pg_basebackup", source, f"--pgdata={self.folder}", "--write-recovery-conf", "--checkpoint=fast")

    def follow(self, primary: Server) -> None:
        """Be made a standby of it, as Patroni does with a server that was primary."""
        settings = f"primary_conninfo = 'host=127.0.0.1 port={primary.port} user=iot'"
        self.run("bash", "-c", 'touch "$PGDATA/standby.signal"; echo "$0" >> "$PGDATA/postgresql.auto.conf"', settings)

    def promote(self) -> None:
        self.run("pg_ctl", "promote", "--silent")
        self.sql("checkpoint")

    def lead(self) -> None:
        """Begin, and be promoted."""
        self.begin()
        self.promote()

    def timeline(self) -> int:
        return int(self.sql("select timeline_id from pg_control_checkpoint()"))

    def checkpoint(self) -> int:
        """The place of the last one's record."""
        return int(self.sql("select checkpoint_lsn - '0/0' from pg_control_checkpoint()"))

    def offset(self) -> int:
        """That within its page of the log."""
        return self.checkpoint() % PAGE

    def restarts_from(self, primary: Server) -> bool:
        """The last one of both is the same, once this one has made one."""
        self.sql("checkpoint")
        return self.checkpoint() == primary.checkpoint()

    def follows(self) -> bool:
        return self.sql("select status from pg_stat_wal_receiver") == "streaming"

    def is_there(self) -> bool:
        return self.containers.works("exec", self.made, "test", "-e", f"{self.folder}/PG_VERSION")


@pytest.fixture(scope="module")
def made(containers: Engine) -> Iterator[list[Server]]:
    """A primary, and two that have all it had; none runs, and their folders are set aside."""
    options = ("--tmpfs=/var/run/postgresql:mode=1777", "--network=none", "--entrypoint=sleep", "--stop-signal=KILL")
    with running(containers, POSTGRES, "infinity", options=options, env={}) as container:
        primary, *others = (Server(containers, container, port) for port in (5001, 5002, 5003))
        primary.initialise()
        primary.begin()
        for other in others:
            other.copy(primary)
            other.begin()
            wait_until(other.follows, within_s=READY_WITHIN_S, why="it does not follow")
        for server in (primary, *others):
            server.end()
        primary.run("bash", "-c", "mkdir /tmp/aside && mv /tmp/500? /tmp/aside")
        yield [primary, *others]


@pytest.fixture
def servers(made: list[Server]) -> Iterator[list[Server]]:
    """The first one is lost now."""
    made[0].run("bash", "-c", "rm -rf /tmp/500? && cp --archive /tmp/aside/500? /tmp")
    yield made
    for server in made:
        server.kill()


@pytest.fixture
def contradicting(servers: list[Server]) -> tuple[Server, Server]:
    """A primary, and one that was primary for a moment before: both on a timeline of the same number."""
    _, former, primary = servers
    former.lead()
    former.end()
    primary.lead()
    former.follow(primary)
    return primary, former


def test_who_was_primary_for_a_moment_on_a_timeline_of_the_same_number_gives_its_data_up(
    contradicting: tuple[Server, Server],
) -> None:
    primary, former = contradicting
    primary.sql("create table numbers as select generate_series(1, 10000)")
    assert primary.timeline() == 2
    with pytest.raises(CiError, match=GIVES_UP):
        former.begin()
    assert not former.is_there()
    former.copy(primary)
    former.begin()
    wait_until(former.follows, within_s=READY_WITHIN_S, why="the copy does not follow")


def test_who_has_more_of_that_timeline_than_the_primary_gives_its_data_up(servers: list[Server]) -> None:
    _, former, primary = servers
    former.lead()
    former.sql("create table numbers as select generate_series(1, 100000)")
    former.end()
    primary.lead()
    former.follow(primary)
    with pytest.raises(CiError, match=GIVES_UP):
        former.begin()
    assert not former.is_there()


def test_it_is_known_also_when_the_primary_has_left_that_timeline(contradicting: tuple[Server, Server]) -> None:
    primary, former = contradicting
    primary.sql("create table numbers as select generate_series(1, 10000)")
    primary.end()
    primary.follow(former)  # who does not run: it is a standby until it is promoted
    primary.lead()
    assert primary.timeline() == 3
    with pytest.raises(CiError, match=GIVES_UP):
        former.begin()
    assert not former.is_there()


def test_a_standby_keeps_what_it_has_and_follows_again(servers: list[Server]) -> None:
    _, standby, primary = servers
    primary.lead()
    standby.follow(primary)
    for _ in range(2):
        assert NOT_COMPARED not in standby.begin()
        wait_until(standby.follows, within_s=READY_WITHIN_S, why="it does not follow")
        primary.sql("checkpoint")
        standby.sql("checkpoint")
        standby.end()


def test_a_standby_that_was_killed_between_checkpoints_keeps_what_it_has(servers: list[Server]) -> None:
    """Its control file has by then the newest transaction of a later checkpoint than its own last one."""
    _, standby, primary = servers
    primary.lead()
    standby.follow(primary)
    standby.begin()
    primary.sql("create table numbers as select 1")
    primary.sql("checkpoint")
    wait_until(lambda: standby.restarts_from(primary), within_s=READY_WITHIN_S, why="it has made no checkpoint of it")
    for change in ("create table others as select 2", "checkpoint", "drop table numbers"):
        primary.sql(change)
    wait_until(lambda: standby.sql("select to_regclass('numbers')") == "", within_s=READY_WITHIN_S, why="it is behind")
    standby.kill()
    assert NOT_COMPARED not in standby.begin()
    wait_until(standby.follows, within_s=READY_WITHIN_S, why="it does not follow")


def test_the_record_of_a_checkpoint_may_go_over_two_pages(servers: list[Server]) -> None:
    _, standby, primary = servers
    primary.lead()
    standby.follow(primary)
    standby.begin()
    wait_until(standby.follows, within_s=READY_WITHIN_S, why="it does not follow")
    offset, size = primary.offset(), 8
    for _ in range(20):
        before = offset
        primary.sql(f"select pg_logical_emit_message(false, 'test', repeat('x', {size}))")
        primary.sql("checkpoint")
        offset = primary.offset()
        if offset > PAGE - RECORD:
            break
        size = (PAGE - RECORD // 2 - offset - (offset - before - size)) % PAGE
    assert offset > PAGE - RECORD
    wait_until(lambda: standby.restarts_from(primary), within_s=READY_WITHIN_S, why="it has made no checkpoint of it")
    standby.end()
    assert NOT_COMPARED not in standby.begin()
    wait_until(standby.follows, within_s=READY_WITHIN_S, why="it does not follow")


def test_nothing_is_given_up_where_the_primary_does_not_run(contradicting: tuple[Server, Server]) -> None:
    primary, former = contradicting
    primary.end()
    assert NOT_COMPARED in former.begin()
    assert former.sql("select pg_is_in_recovery()") == "t"


def test_a_primary_that_stands_still_keeps_nobody_back(contradicting: tuple[Server, Server]) -> None:
    primary, former = contradicting
    primary.run("bash", "-c", 'read -r process < "$PGDATA/postmaster.pid" && kill -STOP $process')
    assert f"{NOT_COMPARED}: no answer within 2 s" in former.begin()
    assert former.sql("select pg_is_in_recovery()") == "t"


def test_what_was_copied_just_now_is_not_compared(servers: list[Server]) -> None:
    """It may name a checkpoint of which it has not the log, as the primary does."""
    _, standby, primary = servers
    primary.lead()
    standby.run("rm", "-r", standby.folder)
    standby.copy(primary)
    primary.end()
    assert NOT_COMPARED not in standby.begin()


def test_an_address_that_is_another_databases_now_costs_nothing(servers: list[Server]) -> None:
    other, standby, _ = servers
    other.run("rm", "-r", other.folder)
    other.initialise()
    other.begin()
    assert f"{NOT_COMPARED}: it is another database's address now" in standby.begin()
    assert standby.sql("select pg_is_in_recovery()") == "t"


def test_who_is_no_primary_yet_is_waited_for(servers: list[Server]) -> None:
    _, standby, primary = servers
    primary.begin()
    standby.follow(primary)
    with pytest.raises(CiError, match="who is to be followed is not the primary yet"):
        standby.begin()
    assert standby.is_there()
    primary.promote()
    standby.begin()
    wait_until(standby.follows, within_s=READY_WITHIN_S, why="it does not follow")


def test_a_copy_that_was_cut_off_is_gone_before_patroni_begins_and_a_database_is_not(servers: list[Server]) -> None:
    """The control file is the last that is copied. Patroni itself finds no Kubernetes here, and ends."""
    _, cut_off, whole = servers
    cut_off.run("rm", f"{cut_off.folder}/global/pg_control")
    for server in (cut_off, whole):
        with pytest.raises(CiError, match="Available implementations: kubernetes"):
            server.run("/usr/local/bin/member", "/nowhere.yml")
    assert not cut_off.is_there()
    assert whole.is_there()
