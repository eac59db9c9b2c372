from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from iot_system.adapters.nats.broker import NatsBroker
from iot_system.adapters.nats.connection import connect
from iot_system.adapters.nats.permissions import API
from iot_system.ports.clock import SystemClock
from iot_system.services.streams import make_streams
from iot_system.settings import StreamSettings

from tests.contract.broker.pods import Pods, pods_on
from tests.harness.nats import NatsServer, running_nats


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with running_nats(tmp_path) as running:
        await make_streams(running.settings(), StreamSettings())
        yield running


@pytest.fixture
async def broker(server: NatsServer) -> AsyncIterator[NatsBroker]:
    client = await connect(server.settings(API), name="test")
    broker = NatsBroker(client, SystemClock())
    await broker.start()
    yield broker
    await client.close()


@pytest.fixture
async def pods(server: NatsServer) -> AsyncIterator[Pods]:
    async with pods_on(server) as running:
        yield running
