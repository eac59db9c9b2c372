"""What only Postgres does: crashes and standbys, partitions on disk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import asyncpg
import pytest
from chart_harness.loopback import free_port
from chart_harness.waiting import until
from iot_system.adapters.postgres import database, days
from iot_system.adapters.stores import open_store
from iot_system.domain.addresses import Address
from iot_system.domain.history import HistoryQuery, Reading
from iot_system.domain.twin import DeviceState, RoomState
from iot_system.errors import Unavailable
from iot_system.ports.store import PartitionCommit, Store

from tests.contract.store.owner import STREAM, Owner
from tests.harness.postgres import PASSWORD, PASSWORD_IN_URL, RUNTIME, PostgresServer, running_postgres

DAY_US = 86_400_000_000
IN_2015_US = 1_423_000_000_000_000
NOW_US = 1_795_600_000_000_000


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
async def owner(store: Store) -> Owner:
    owner = await Owner.of(store)
    await owner.register("d")
    return owner


@pytest.fixture
def another_postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


async def tables(postgres: PostgresServer) -> dict[str, int]:
    """Table of history → its rows."""
    connection = await asyncpg.connect(postgres.url)
    try:
        names = await connection.fetch(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'history'::regclass"
        )
        return {name: await connection.fetchval(f"select count(*) from {name}") for (name,) in names}
    finally:
        await connection.close()


async def patiently(store: Store, commit: PartitionCommit) -> None:
    """As a shard does."""

    async def committed() -> bool:
        with contextlib.suppress(Unavailable):
            await store.commit([commit])
            return True
        return False

    await until(committed, within_s=30)


async def test_a_crash_in_the_middle_of_commits_loses_nothing_and_doubles_nothing(
    postgres: PostgresServer, owner: Owner
) -> None:
    store, begun = owner.store, asyncio.Event()
    troubles: list[str] = []

    async def commit_all() -> None:
        for number in range(1, 121):
            commit = owner.frame(
                [Reading("d", f"m{m}", number, 1.5) for m in range(200)], devices={"d": DeviceState(seq=number)}
            )
            try:
                await store.commit([commit])
            except Unavailable as error:
                troubles.append(str(error))
                await patiently(store, commit)
            owner.took(commit)
            if number == 20:
                begun.set()

    committing = asyncio.create_task(commit_all())
    await begun.wait()
    await asyncio.to_thread(postgres.kill)
    await asyncio.to_thread(postgres.start)
    async with asyncio.timeout(60):
        await committing
    (trouble,) = troubles
    assert trouble.startswith(f"the database at 127.0.0.1:{postgres.port} does not answer: ")
    assert PASSWORD not in trouble
    assert await store.applied(STREAM) == {0: 120}
    whole = HistoryQuery(device="d", interval_us=2**62, aggregates=("count",))
    assert [one.count for one in (await store.buckets(whole)).items] == [120] * 200
    assert (await store.load_devices(["d"]))["d"][1].seq == 120


async def test_a_commit_that_was_broken_off_can_be_repeated(postgres: PostgresServer, owner: Owner) -> None:
    store = owner.store
    lock = await asyncpg.connect(postgres.url)
    await lock.execute("begin; lock table rooms in exclusive mode")
    commit = owner.frame([Reading("d", "m", 1, 1.0)], rooms={"r": RoomState()})
    committing = asyncio.create_task(store.commit([commit]))
    await until(lambda: _waits_for_lock(lock), within_s=60)
    await lock.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'iot-system'")
    with pytest.raises(Unavailable):
        await committing
    await lock.close()
    await patiently(store, commit)
    await store.commit([commit])
    assert (await store.readings(HistoryQuery(device="d"))).items == [Reading("d", "m", 1, 1.0)]


async def test_a_server_that_freezes_is_given_up_in_time(
    postgres: PostgresServer, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "COMMAND_TIMEOUT_S", 2)
    monkeypatch.setattr(database, "CONNECT_TIMEOUT_S", 2)
    impatient = open_store(postgres.url_of(RUNTIME))
    await impatient.start()
    commit = owner.frame([Reading("d", "m", 1, 1.0)])
    postgres.freeze()
    try:
        async with asyncio.timeout(15):
            with pytest.raises(Unavailable, match=r"does not answer: TimeoutError"):
                await impatient.commit([commit])
    finally:
        postgres.thaw()
    await patiently(impatient, commit)
    assert (await impatient.readings(HistoryQuery(device="d"))).items == [Reading("d", "m", 1, 1.0)]
    await impatient.stop()


async def test_of_several_servers_the_one_that_takes_writes_is_found_though_others_freeze(
    postgres: PostgresServer, another_postgres: PostgresServer, owner: Owner
) -> None:
    places = f"127.0.0.1:{another_postgres.port},127.0.0.1:{free_port()},127.0.0.1:{postgres.port}"
    url = f"postgresql://iot:{PASSWORD_IN_URL}@{places}/postgres?target_session_attrs=read-write"
    await another_postgres.execute("alter database postgres set default_transaction_read_only = on")
    await _commits(owner, url, at=1)
    another_postgres.freeze()
    try:
        async with asyncio.timeout(database.CONNECT_TIMEOUT_S / 2):
            await _commits(owner, url, at=2)
    finally:
        another_postgres.thaw()
    assert [one.time_us for one in (await owner.store.readings(HistoryQuery(device="d"))).items] == [1, 2]


async def test_where_no_server_takes_writes_it_is_told_why(postgres: PostgresServer) -> None:
    await postgres.execute("alter database postgres set default_transaction_read_only = on")
    url = f"postgresql://iot:{PASSWORD_IN_URL}@127.0.0.1:{postgres.port}/postgres?target_session_attrs=read-write"
    with pytest.raises(Unavailable, match="None of the hosts match the target attribute requirement"):
        await open_store(url).start()
    await postgres.execute(
        "set default_transaction_read_only = off", "alter database postgres reset default_transaction_read_only"
    )


async def _commits(owner: Owner, url: str, *, at: int) -> None:
    store = open_store(url)
    await store.start()
    commit = owner.frame([Reading("d", "m", at, 1.0)])
    await store.commit([commit])
    owner.took(commit)
    await store.stop()


async def test_after_a_read_only_answer_no_old_connection_is_used(postgres: PostgresServer, owner: Owner) -> None:
    """As after a failover: the connections of the pool lead to what is a standby now."""
    pids = await _backends(postgres)
    await postgres.execute("alter database postgres set default_transaction_read_only = on")
    other = open_store(postgres.url_of(RUNTIME))
    await other.start()
    await postgres.execute(
        "set default_transaction_read_only = off", "alter database postgres reset default_transaction_read_only"
    )
    stale = await _backends(postgres) - pids
    commit = owner.frame([Reading("d", "m", 1, 1.0)])
    with pytest.raises(Unavailable, match="read-only"):
        await other.commit([commit])
    await other.commit([commit])
    assert not stale & await _backends(postgres)
    await other.stop()


async def test_a_server_that_is_not_there_is_told_in_one_sentence() -> None:
    port = free_port()
    store = open_store(f"postgresql://iot:{PASSWORD_IN_URL}@127.0.0.1:{port}/iot")
    with pytest.raises(Unavailable) as told:
        await store.start()
    assert str(told.value).startswith(f"the database at 127.0.0.1:{port} does not answer: ")
    assert "\n" not in str(told.value)
    assert PASSWORD not in str(told.value)
    await store.stop()


@pytest.mark.parametrize("part", ["password", "database"])
async def test_a_wrong_password_or_database_is_told_without_the_password(postgres: PostgresServer, part: str) -> None:
    url = postgres.url.replace(
        *{"password": (PASSWORD_IN_URL, "not-it-xyz"), "database": ("/postgres", "/missing")}[part]
    )
    with pytest.raises(Unavailable, match=part) as told:
        await open_store(url).start()
    assert "not-it-xyz" not in str(told.value)
    assert PASSWORD not in str(told.value)


async def test_a_store_that_was_stopped_says_so(store: Store) -> None:
    await store.stop()
    await store.stop()
    with pytest.raises(Unavailable, match="is not connected"):
        await store.applied(STREAM)


async def test_each_day_has_its_partition_made_ahead_or_on_demand(postgres: PostgresServer, owner: Owner) -> None:
    await owner.store.maintain(now_us=NOW_US, retention_days=0)
    ahead = [name for name in await tables(postgres) if name != "history_rest"]
    assert len(ahead) == 1 + days.DAYS_AHEAD
    await owner.commit([Reading("d", "m", time_us, 1.0) for time_us in (IN_2015_US, NOW_US, NOW_US + DAY_US)])
    rows = await tables(postgres)
    assert rows["history_rest"] == 0
    assert rows["history_20150203"] == 1
    assert rows["history_20261126"] == 1
    assert sum(rows.values()) == 3


async def test_retention_takes_whole_partitions_away(postgres: PostgresServer, owner: Owner) -> None:
    await owner.commit([Reading("d", "m", time_us, 1.0) for time_us in (IN_2015_US, NOW_US - DAY_US, NOW_US)])
    await owner.store.maintain(now_us=NOW_US, retention_days=1)
    assert sorted(name for name, count in (await tables(postgres)).items() if count) == [
        "history_20261124",
        "history_20261125",
    ]
    assert "history_20150203" not in await tables(postgres)


async def test_days_beyond_the_bound_share_a_table_and_are_read_all_the_same(
    postgres: PostgresServer, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "DAYS_LIMIT", 5)
    readings = [Reading("d", "m", day * DAY_US, float(day)) for day in range(12)]
    await owner.commit(readings)
    assert (await tables(postgres))["history_rest"] == 7
    assert (await owner.store.readings(HistoryQuery(device="d"))).items == readings
    assert (await owner.store.readings(HistoryQuery(device="d", descending=True))).items == readings[::-1]
    assert await owner.store.known(readings) == {("d", "m", day * DAY_US) for day in range(12)}
    # A day that gets its partition later takes its rows along.
    await owner.store.maintain(now_us=0, retention_days=0)
    rows = await tables(postgres)
    assert [day for day in range(7) if rows[f"history_197001{day + 1:02}"] != 1] == []
    assert rows["history_rest"] == 0
    assert (await owner.store.readings(HistoryQuery(device="d"))).items == readings
    await owner.store.maintain(now_us=13 * DAY_US, retention_days=3)
    assert (await owner.store.readings(HistoryQuery(device="d"))).items == readings[10:]


async def test_the_history_of_a_deleted_device_leaves_the_disk_with_the_next_maintenance(
    postgres: PostgresServer, owner: Owner
) -> None:
    await owner.register("e")
    await owner.commit([Reading(id_, "m", time_us, 1.0) for id_ in "de" for time_us in (IN_2015_US, NOW_US)])
    await owner.remove(Address("device", "d"))
    await owner.store.maintain(now_us=NOW_US, retention_days=0)
    assert sum((await tables(postgres)).values()) == 2
    assert len((await owner.store.readings(HistoryQuery(device="e"))).items) == 2


async def test_more_days_than_the_server_can_lock_at_once_are_made_one_after_another(
    postgres: PostgresServer, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "DAYS_AT_ONCE", 3)
    readings = [Reading("d", "m", day * DAY_US, 1.0) for day in range(8)]
    await owner.commit(readings)
    assert (await tables(postgres)) == {"history_rest": 0} | {f"history_197001{day:02}": 1 for day in range(1, 9)}
    assert (await owner.store.readings(HistoryQuery(device="d"))).items == readings


async def test_two_owners_may_meet_the_same_new_day(postgres: PostgresServer, store: Store) -> None:
    other = open_store(postgres.url_of(RUNTIME))
    await other.start()
    owners = [await Owner.of(one, number) for number, one in enumerate((store, other))]
    for number, one in enumerate(owners):
        await one.register(f"d{number}")
    await asyncio.gather(
        *(one.commit([Reading(f"d{n}", "m", day * DAY_US, 1.0) for day in range(20)]) for n, one in enumerate(owners))
    )
    assert sorted((await tables(postgres)).values()) == [0, *[2] * 20]
    await other.stop()


async def _waits_for_lock(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval("select count(*) from pg_locks where not granted"))


async def _backends(postgres: PostgresServer) -> set[int]:
    connection = await asyncpg.connect(postgres.url)
    try:
        rows = await connection.fetch("select pid from pg_stat_activity where application_name = 'iot-system'")
        return {row[0] for row in rows}
    finally:
        await connection.close()


@pytest.fixture
def archiving() -> Iterator[PostgresServer]:
    """A server whose archive takes nothing."""
    with running_postgres() as server:
        asyncio.run(
            server.execute("alter system set archive_mode = 'on'", "alter system set archive_command = 'false'")
        )
        server.kill()
        yield server.start()


async def test_an_archive_that_does_not_take_what_is_written_is_told(archiving: PostgresServer) -> None:
    store = open_store(await archiving.migrate())
    await store.start()
    await archiving.execute("select pg_switch_wal()")
    await until(store.unarchived_s, within_s=60)
    await archiving.execute("alter system set archive_command = 'true'", "select pg_reload_conf()")

    async def is_archived() -> bool:
        return await store.unarchived_s() == 0

    await until(is_archived, within_s=60)
    await store.stop()
