"""Owners that stand still in Postgres, and those that come after them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest
from chart_harness.waiting import until
from iot_system.adapters.postgres import database, holders

from tests.contract.store.owner import Owner
from tests.harness.postgres import RUNTIME, PostgresServer

DEADLINE_S = 60.0
HOLD = "begin; select * from partitions for update"


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
async def before(postgres: PostgresServer, owner: Owner) -> AsyncIterator[asyncpg.Connection]:
    """The session of an owner that has partitions, which it holds."""
    connection = await asyncpg.connect(postgres.url_of(RUNTIME), server_settings=database.SESSION)
    await connection.execute(HOLD)
    yield connection
    connection.terminate()


async def takes_over(owner: Owner) -> bool:
    async with asyncio.timeout(DEADLINE_S):
        return (await Owner.of(owner.store, name="next")).claim.epoch == 2


async def is_gone(postgres: PostgresServer, pid: int) -> bool:
    return await state(postgres, pid) is None


async def state(postgres: PostgresServer, pid: int) -> tuple[str, str] | None:
    """What a session does, and what it waits for; None where it is gone."""
    connection = await asyncpg.connect(postgres.url)
    try:
        found = await connection.fetchrow("select query, wait_event_type from pg_stat_activity where pid = $1", pid)
        return tuple(found) if found else None
    finally:
        await connection.close()


async def never() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def test_another_owner_need_not_wait_for_one_that_froze_between_two_statements(
    postgres: PostgresServer, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database.SESSION, "idle_in_transaction_session_timeout", "200ms")
    monkeypatch.setattr(holders, "PATIENCE_S", DEADLINE_S)  # the server does it alone
    frozen = await asyncpg.connect(postgres.url_of(RUNTIME), server_settings=database.SESSION)
    await frozen.execute(HOLD)
    assert await takes_over(owner)
    frozen.terminate()


async def test_another_owner_need_not_wait_for_one_that_froze_in_the_middle_of_its_rows(
    postgres: PostgresServer, owner: Owner, before: asyncpg.Connection
) -> None:
    pid = before.get_server_pid()
    copying = asyncio.create_task(before.copy_to_table("history", source=never(), format="binary"))

    async def has_begun() -> bool:
        doing = await state(postgres, pid)
        return doing is not None and doing[0].startswith("COPY") and doing[1] == "Client"

    await until(has_begun, within_s=DEADLINE_S)
    assert await takes_over(owner)
    await until(lambda: is_gone(postgres, pid), within_s=DEADLINE_S)
    copying.cancel()
    await asyncio.gather(copying, return_exceptions=True)


async def test_an_owner_that_is_only_slow_may_finish(
    owner: Owner, before: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "PATIENCE_S", 0.1)

    async def finish() -> None:
        await before.execute("select pg_sleep(1)")
        await before.execute("update partitions set applied = 7; commit")

    finishing = asyncio.create_task(finish())
    async with asyncio.timeout(DEADLINE_S):
        assert (await Owner.of(owner.store, name="next")).claim.applied == 7
    await finishing


async def test_who_has_left_waits_for_nothing_any_more(postgres: PostgresServer, before: asyncpg.Connection) -> None:
    await before.execute("set idle_in_transaction_session_timeout = 0")
    leaving = await asyncpg.connect(postgres.url_of(RUNTIME), server_settings=database.SESSION)
    pid = leaving.get_server_pid()
    waiting = asyncio.create_task(leaving.execute(HOLD))

    async def waits() -> bool:
        doing = await state(postgres, pid)
        return doing is not None and doing[1] == "Lock"

    await until(waits, within_s=DEADLINE_S)
    leaving.terminate()
    with contextlib.suppress(asyncpg.PostgresError, OSError):
        await waiting
    await until(lambda: is_gone(postgres, pid), within_s=DEADLINE_S)
