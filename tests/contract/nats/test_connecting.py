"""Connections to brokers that take them and say nothing more, as one whose process stands still, and that come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from chart_harness.waiting import until
from iot_system.adapters.addresses import remember_addresses
from iot_system.adapters.nats import connection
from iot_system.adapters.nats.connection import connect, disconnect
from iot_system.adapters.nats.permissions import API
from iot_system.errors import Unavailable
from iot_system.settings import BrokerSettings
from msgspec.structs import replace

from tests.harness.nats import NatsServer
from tests.harness.resolver import Resolver

DEADLINE_S = 20.0
INFO = b'INFO {"server_id": "a", "version": "2.12.0", "max_payload": 1048576}\r\n'


class Silent:
    """``settings`` lead to it. It says ``greeting`` and never anything else."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()
        """Somebody has connected and said something; and has left."""
        self.greeting = b""
        self.settings = BrokerSettings(urls="")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        await reader.readline()
        self.begun.set()
        await reader.read()
        self.ended.set()
        writer.close()


@pytest.fixture
async def silent() -> AsyncIterator[Silent]:
    broker = Silent()
    async with await asyncio.start_server(broker.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        broker.settings = BrokerSettings(urls=f"nats://127.0.0.1:{port}", user=API, password="any")
        yield broker


@pytest.mark.parametrize("patience_s", [0.3, 3.0], ids=["before the client gives up", "after it has"])
async def test_it_is_told_that_time_ran_out(silent: Silent, patience_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_CONNECTION_TIMEOUT_S", patience_s)
    with pytest.raises(Unavailable, match=rf"{silent.settings.urls} does not answer: .*[Tt]ime"):
        await connect(silent.settings, name="test")


async def test_who_is_cancelled_while_it_connects_leaves_no_connection_behind(silent: Silent) -> None:
    silent.greeting = INFO
    async with asyncio.timeout(DEADLINE_S):
        connecting = asyncio.create_task(connect(silent.settings, name="test"))
        await silent.begun.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await silent.ended.wait()


async def test_a_broker_is_found_again_while_nobody_tells_its_address(server: NatsServer) -> None:
    resolver = Resolver(asyncio.get_running_loop())
    remember_addresses()
    settings = replace(server.settings(API), urls=server.url.replace("127.0.0.1", "localhost"))
    client = await connect(settings, name="test")
    try:
        resolver.is_silent = True
        server.kill()
        await asyncio.to_thread(server.start)
        await until(lambda: client.is_connected, within_s=DEADLINE_S, why="the client does not come back")
        await client.flush()
    finally:
        await disconnect(client)
