"""A database whose connections have broken is found again while nobody tells its address."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from chart_harness.waiting import until
from iot_system.adapters.addresses import remember_addresses
from iot_system.adapters.stores import open_store
from iot_system.errors import Unavailable

from tests.harness.postgres import PostgresServer
from tests.harness.resolver import Resolver

END_OTHERS = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'iot-system'"
DEADLINE_S = 20.0


@pytest.mark.parametrize("knows", [True, False], ids=["with addresses", "without"])
async def test_it_is_reached_after_its_connections_were_ended(
    postgres: PostgresServer, postgres_url: str, *, knows: bool
) -> None:
    resolver = Resolver(asyncio.get_running_loop())
    if knows:
        remember_addresses()
    store = open_store(postgres_url.replace("127.0.0.1", "localhost"))
    await store.start()
    administrator = await asyncpg.connect(postgres.url)
    resolver.is_silent = True
    await administrator.execute(END_OTHERS)

    async def is_reached() -> bool:
        try:
            return await store.members("room", limit=1) == []
        except Unavailable:
            return False

    try:
        if knows:
            await until(is_reached, within_s=DEADLINE_S, why="the database is not found again")
        else:
            assert not await is_reached()
    finally:
        await administrator.close()
        await store.stop()
