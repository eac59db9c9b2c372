"""Nothing is read from a server that is no longer the primary and does not know it yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from chart_harness.waiting import until
from iot_system.adapters.postgres import confirming
from iot_system.domain.addresses import Address
from iot_system.domain.history import HistoryQuery

from tests.contract.store.owner import STREAM, Owner
from tests.harness.postgres import PostgresServer

DEADLINE_S = 60.0
ANSWER_S = 0.5
Replicas = Callable[[str], Awaitable[None]]
READS: dict[str, Callable[[Owner], Awaitable[object]]] = {
    "check": lambda owner: owner.store.check([owner.guard]),
    "applied": lambda owner: owner.store.applied(STREAM),
    "load_devices": lambda owner: owner.store.load_devices(["d"]),
    "load_rooms": lambda owner: owner.store.load_rooms(["r"]),
    "access": lambda owner: owner.store.access(["d"]),
    "list_devices": lambda owner: owner.store.list_devices(room=None, label=None, limit=1, cursor=None),
    "members": lambda owner: owner.store.members("r", limit=1),
    "list_rooms": lambda owner: owner.store.list_rooms(limit=1, cursor=None),
    "commands": lambda owner: owner.store.commands([("d", "c")]),
    "list_commands": lambda owner: owner.store.list_commands("d", status=None, limit=1, cursor=None),
    "room_command": lambda owner: owner.store.room_command("r", "c"),
    "failures": lambda owner: owner.store.failures(Address("device", "d")),
    "tokens": lambda owner: owner.store.tokens(["t"]),
    "list_tokens": lambda owner: owner.store.list_tokens(limit=1, cursor=None),
    "list_audit": lambda owner: owner.store.list_audit(target=None, by=None, limit=1, cursor=None),
    "readings": lambda owner: owner.store.readings(HistoryQuery(device="d")),
    "buckets": lambda owner: owner.store.buckets(HistoryQuery(device="d", interval_us=1, aggregates=("avg",))),
}


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Replicas]:
    """Sets those for which commits wait; none of them is there."""

    async def wait_for(names: str) -> None:
        await postgres.execute(f"alter system set synchronous_standby_names = '{names}'", "select pg_reload_conf()")
        await until(lambda: do_commits_wait(postgres, bool(names)), within_s=DEADLINE_S)

    yield wait_for
    await wait_for("")


async def do_commits_wait(postgres: PostgresServer, expected: bool) -> bool:
    """Whether they do as ``expected``: a server learns it a moment after it was told."""
    connection = await asyncpg.connect(postgres.url)
    try:
        await connection.execute("select pg_logical_emit_message(true, 'of these tests', '')", timeout=ANSWER_S)
    except TimeoutError:
        return expected
    else:
        return not expected
    finally:
        connection.terminate()


async def count_waiting(postgres: PostgresServer) -> int:
    """Sessions of the store that wait for a replica."""
    connection = await asyncpg.connect(postgres.url)
    try:
        return int(
            await connection.fetchval(
                "select count(*) from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'iot-system'"
            )
        )
    finally:
        await connection.close()


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_nothing_is_read_where_no_replica_follows_any_more(
    postgres: PostgresServer,
    owner: Owner,
    replicas: Replicas,
    read: Callable[[Owner], Awaitable[object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confirming, "CONFIRMED_S", 0.0)
    await replicas("gone")
    reading = asyncio.ensure_future(read(owner))

    async def waits() -> bool:
        return await count_waiting(postgres) == 1

    await until(waits, within_s=DEADLINE_S)
    assert not reading.done()
    await replicas("")
    async with asyncio.timeout(DEADLINE_S):
        await reading


async def test_what_was_confirmed_a_moment_ago_is_not_asked_again(
    owner: Owner, replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirming, "CONFIRMED_S", 2 * DEADLINE_S)
    await owner.store.load_devices(["d"])
    await replicas("gone")
    async with asyncio.timeout(DEADLINE_S / 4):
        await owner.store.check([owner.guard])
