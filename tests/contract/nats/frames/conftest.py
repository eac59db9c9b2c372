from __future__ import annotations

import pytest
from iot_system.adapters.nats.connection import Client
from iot_system.adapters.nats.stream import NatsStream
from iot_system.services.streams import make_streams

from tests.contract.nats.frames.stream import SETTINGS
from tests.harness.nats import NatsServer


@pytest.fixture
async def server(server: NatsServer) -> NatsServer:
    """With the streams."""
    await make_streams(server.settings(), SETTINGS)
    return server


@pytest.fixture
def stream(actor_system: Client) -> NatsStream:
    return NatsStream(actor_system, SETTINGS)
