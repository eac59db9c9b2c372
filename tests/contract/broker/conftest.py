from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from iot_system.adapters.nats.broker import NatsBroker
from iot_system.ports.clock import SystemClock
from iot_system.services.streams import make_streams
from iot_system.settings import StreamSettings
from nats.aio.client import Client

from tests.contract.broker.pods import Pods, pods_on
from tests.harness.nats import NatsServer


@pytest.fixture
async def server(server: NatsServer) -> NatsServer:
    """With the streams."""
    await make_streams(server.settings(), StreamSettings())
    return server


@pytest.fixture
async def broker(api: Client) -> NatsBroker:
    broker = NatsBroker(api, SystemClock())
    await broker.start()
    return broker


@pytest.fixture
async def pods(server: NatsServer) -> AsyncIterator[Pods]:
    async with pods_on(server) as running:
        yield running
