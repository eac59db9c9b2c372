"""What a server that is the primary no more, and does not know it yet, is asked for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from chart_harness.waiting import until
from iot_system.adapters.postgres import confirming
from iot_system.adapters.stores import open_store
from iot_system.ports.store import Store

from tests.contract.store.owner import Owner
from tests.harness.postgres import PostgresServer

DEADLINE_S = 60.0
READS: dict[str, Callable[[Owner], Awaitable[object]]] = {
    "the owner of a partition": lambda owner: owner.store.check([owner.guard]),
    "a device": lambda owner: owner.store.load_devices(["d"]),
    "a command": lambda owner: owner.store.commands([("d", "c")]),
}


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    store = open_store(postgres_url)
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Sets those for which commits wait; none of them is there."""

    async def wait_for(names: str) -> None:
        await postgres.execute(f"alter system set synchronous_standby_names = '{names}'", "select pg_reload_conf()")

        async def is_known() -> bool:
            return bool(await asked(postgres, "show synchronous_standby_names") == names)

        await until(is_known, within_s=DEADLINE_S)

    yield wait_for
    await wait_for("")


async def asked(postgres: PostgresServer, question: str) -> object:
    connection = await asyncpg.connect(postgres.url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


@pytest.mark.parametrize("read", READS)
async def test_nothing_is_read_where_no_replica_follows_any_more(
    postgres: PostgresServer,
    owner: Owner,
    replicas: Callable[[str], Awaitable[None]],
    read: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confirming, "CONFIRMED_S", 0.0)
    await replicas("gone")
    reading = asyncio.ensure_future(READS[read](owner))

    async def waits() -> bool:
        count = await asked(postgres, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'")
        return bool(count == 1)

    await until(waits, within_s=DEADLINE_S)
    assert not reading.done()
    await replicas("")
    async with asyncio.timeout(DEADLINE_S):
        await reading


async def test_what_was_confirmed_a_moment_ago_is_not_asked_again(
    owner: Owner, replicas: Callable[[str], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirming, "CONFIRMED_S", 1e6)
    await owner.store.load_devices(["d"])
    await replicas("gone")
    async with asyncio.timeout(DEADLINE_S):
        await owner.store.check([owner.guard])
