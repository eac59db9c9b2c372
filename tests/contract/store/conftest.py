"""Every test runs against SQLite in memory, SQLite in a file, and a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from iot_system.adapters.stores import is_in_memory, open_store
from iot_system.ports.store import Store

from tests.contract.store.owner import Owner
from tests.harness.postgres import PostgresServer, running_postgres

Opener = Callable[[], Awaitable[Store]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
async def postgres_url(postgres: PostgresServer) -> str:
    """A database with the schema and nothing in it, as the actor system uses it."""
    await postgres.clear()
    return await postgres.migrate()


@pytest.fixture(params=["memory", "file", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "memory":
            return "sqlite:///:memory:"
        case "file":
            return f"sqlite:///{tmp_path}/iot.db"
        case _:
            return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = open_store(url)
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
async def another(url: str, store: Store) -> AsyncIterator[Opener]:
    """Opens the same data as another process would; memory is shared by nobody, there it is the same store."""
    opened: list[Store] = []

    async def open_another() -> Store:
        if is_in_memory(url):
            return store
        opened.append(open_store(url))
        await opened[-1].start()
        return opened[-1]

    yield open_another
    for one in opened:
        await one.stop()


@pytest.fixture
async def owner(store: Store) -> Owner:
    """Of partition 0."""
    return await Owner.of(store)
