"""The schema of Postgres: brought once, step by step, also by a job that is killed; read by versions around ours."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from chart_harness.waiting import until
from iot_system.adapters.postgres import schema
from iot_system.adapters.stores import migrate_store, open_store
from iot_system.domain.history import Reading
from iot_system.domain.registry import Room
from iot_system.domain.twin import RoomState
from iot_system.errors import InvalidSetting, Unavailable

from tests.contract.store.owner import STREAM, Owner
from tests.harness.postgres import PostgresServer

VERSION = schema.VERSION
FOR_EVER = """
from iot_system.__main__ import main
from iot_system.adapters.postgres import schema
migration = schema.Migration(1, 1, "slow.sql", "select pg_sleep(3600)")
schema.migrations = lambda: [migration]
main(["migrate"])
"""


@pytest.fixture
async def operator(postgres: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    """A session beside those of the system."""
    connection = await asyncpg.connect(postgres.url)
    yield connection
    await connection.close()


@pytest.fixture
async def old(postgres: PostgresServer) -> None:
    """A database of the very first schema, with something in it."""
    await postgres.clear()
    await postgres.execute(
        schema.migrations()[0].statements,
        "insert into schema_versions values (1)",
        "insert into partitions values (0, 4, 'owner', 'stream-1', 9, '\\x80', '\\x80')",
        "insert into devices (id, room, behaviour, labels, enabled, created_us, updated_us) "
        "values ('d', 'lab', 'x:Y', '{}', true, 1, 2)",
        "insert into rooms values ('lab', '\\x80')",
    )


async def assert_up_to_date(url: str) -> None:
    """All steps are there, and what `old` had."""
    store = open_store(url)
    await store.start()
    owner = await Owner.of(store)
    assert (owner.claim.epoch, owner.claim.applied, owner.claim.revision) == (5, 9, 0)
    await owner.commit([Reading("d", "m", 1, 1.0)])
    assert (await store.load_devices(["d"]))["d"][0].room == "lab"
    assert await store.load_rooms(["lab"]) == {"lab": (Room(id="lab"), RoomState())}
    await store.stop()


def test_programs_of_the_previous_release_work_with_each_new_step(previous_tree: Path) -> None:
    known = list((previous_tree / "runtime/src/iot_system/adapters/postgres/migrations").glob("*.sql"))
    assert known
    new = schema.migrations()[len(known) :]
    assert [step.file for step in new if step.oldest > len(known)] == []


async def test_a_database_without_schema_says_what_to_do(postgres: PostgresServer) -> None:
    await postgres.clear()
    with pytest.raises(
        Unavailable, match=rf"127\.0\.0\.1:[0-9]+ has no schema, schema {VERSION} is needed: run iot-system migrate"
    ):
        await open_store(postgres.url).start()


async def test_an_older_schema_says_what_to_do(postgres: PostgresServer, old: None) -> None:
    with pytest.raises(Unavailable, match=r"has schema 1, .* run iot-system migrate"):
        await open_store(postgres.url).start()


async def test_a_newer_schema_that_is_none_for_this_version_is_left_alone(
    postgres: PostgresServer, postgres_url: str
) -> None:
    await postgres.execute(f"insert into schema_steps values ({VERSION + 1}, {VERSION + 1})")
    with pytest.raises(Unavailable, match=f"has schema {VERSION + 1}, which a newer version made"):
        await open_store(postgres_url).start()
    with pytest.raises(InvalidSetting, match=f"has schema {VERSION + 1}, which a newer version made"):
        await postgres.migrate()


async def test_a_newer_schema_that_this_version_works_with_is_worked_with(
    postgres: PostgresServer, postgres_url: str
) -> None:
    await postgres.execute(f"insert into schema_steps values ({VERSION + 1}, {VERSION}), ({VERSION + 2}, {VERSION})")
    await postgres.migrate()
    store = open_store(postgres_url)
    await store.start()
    await store.stop()
    await postgres.execute(f"insert into schema_steps values ({VERSION + 3}, {VERSION + 1})")
    with pytest.raises(Unavailable, match=f"has schema {VERSION + 3}, which a newer version made"):
        await open_store(postgres_url).start()


async def test_programs_of_the_first_release_find_the_schema_that_they_know_as_long_as_they_work_with_it(
    postgres: PostgresServer, operator: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = schema.migrations()[:3]
    await postgres.clear()

    async def brought(*more: str) -> int:
        """What programs of 0.1.0 read once these steps are there, too."""
        texts = [schema._read(version, "step.sql", text) for version, text in enumerate(more, 4)]
        monkeypatch.setattr(schema, "migrations", lambda: [*steps, *texts])
        monkeypatch.setattr(schema, "VERSION", 3 + len(more))
        await migrate_store(postgres.url)
        return int(await operator.fetchval("select max(version) from schema_versions"))

    wider = "-- Programs of schema 3 work with it.\ncreate table wider ()"
    narrower = "-- Programs of schema 4 work with it.\ndrop table wider"
    assert await brought() == 3
    assert await brought(wider) == 3
    assert await brought(wider, narrower) == 5


async def test_migrations_that_run_at_once_or_again_change_nothing_more(postgres: PostgresServer) -> None:
    await postgres.clear()
    await asyncio.gather(*(migrate_store(postgres.url) for _ in range(3)))
    await migrate_store(postgres.url)
    store = open_store(postgres.url)
    await store.start()
    assert await store.applied(STREAM) == {}
    await store.stop()


async def test_a_schema_of_an_older_version_is_brought_up_to_date_and_keeps_what_it_has(
    postgres: PostgresServer, old: None
) -> None:
    await migrate_store(postgres.url)
    await assert_up_to_date(postgres.url)


async def test_a_migration_that_is_killed_between_its_steps_is_finished_by_the_next(
    postgres: PostgresServer, operator: asyncpg.Connection, old: None
) -> None:
    async with operator.transaction():
        await operator.execute("lock table history in access share mode")  # as a reader does: the third step waits
        with migrating(postgres.url) as job:
            await until(lambda: is_waiting(operator), within_s=60, why="it does not come to the third step")
            assert await operator.fetchval("select max(version) from schema_steps") == 2
            job.send_signal(signal.SIGKILL)
    await migrate_store(postgres.url)
    await assert_up_to_date(postgres.url)
    assert await operator.fetch("select version from schema_versions order by version") == [(1,), (2,), (3,)]


async def test_a_migration_that_waits_for_a_lock_gives_way_to_others(
    postgres: PostgresServer, operator: asyncpg.Connection, old: None
) -> None:
    async with operator.transaction():
        await operator.execute("lock table history in access share mode")
        with pytest.raises(Unavailable, match="lock timeout"):
            await migrate_store(postgres.url)
    await migrate_store(postgres.url)
    await assert_up_to_date(postgres.url)


async def test_the_statement_of_a_migration_that_was_killed_ends_too(
    postgres: PostgresServer, operator: asyncpg.Connection
) -> None:
    await postgres.clear()

    async def sleepers() -> int:
        counted = "select count(*) from pg_stat_activity where query = 'select pg_sleep(3600)'"
        return int(await operator.fetchval(counted))

    async def nobody_sleeps() -> bool:
        return not await sleepers()

    with migrating(postgres.url, "-c", FOR_EVER) as job:
        await until(sleepers, within_s=60, why="the statement does not begin")
        job.send_signal(signal.SIGKILL)
    await until(nobody_sleeps, within_s=30, why="it goes on for nobody")


def migrating(url: str, *how: str) -> subprocess.Popen[bytes]:
    """`iot-system migrate` as a process."""
    command = (sys.executable, *(how or ("-m", "iot_system", "migrate")))
    return subprocess.Popen(command, env=os.environ | {"DATABASE_URL": url}, stderr=subprocess.DEVNULL)


async def is_waiting(operator: asyncpg.Connection) -> bool:
    """Whether somebody waits for a lock."""
    return bool(await operator.fetchval("select exists (select from pg_locks where not granted)"))
