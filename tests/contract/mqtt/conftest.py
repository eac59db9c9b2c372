from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import uvloop

from tests.contract.mqtt.serving import BROKER, Served, serving
from tests.harness.nats import NatsServer


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the pods run: its transports are not asyncio's."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session", autouse=True)
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One for all tests: they use client identifiers and topics of their own."""
    server = NatsServer(tmp_path_factory.mktemp("nats")).start()
    BROKER.append(server.url)
    yield server
    server.stop()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as one:
        yield one
