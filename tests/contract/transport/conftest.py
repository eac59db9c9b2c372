"""Every test runs over a real nats-server, and over what unit tests and simulations use in its place."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from iot_system.adapters.nats.connection import connect
from iot_system.adapters.nats.events import EVENTS, READINGS, NatsLog
from iot_system.adapters.nats.requests import NatsRequests
from iot_system.adapters.nats.stream import NatsStream
from iot_system.ports.events import Log
from iot_system.ports.requests import Requests
from iot_system.ports.stream import Stream
from iot_system.services.streams import make_streams
from iot_system.settings import BrokerSettings, StreamSettings

from tests.harness.nats import running_nats
from tests.simulation.broker import Broker
from tests.simulation.history import History
from tests.simulation.network import Network
from tests.simulation.processes import Process
from tests.simulation.transport import BrokerClient
from tests.unit.services.memory_requests import MemoryRequests, Switchboard
from tests.unit.services.memory_stream import MemoryStream

PARTITIONS = 8


@dataclass
class Transport:
    """What a broker gives; ``one`` and ``other`` are two processes' ways to ask and to tell."""

    one: Requests
    other: Requests
    stream: Stream
    stream_id: str
    events: Log
    readings: Log


async def over_nats(folder: Path) -> AsyncIterator[Transport]:
    async with running_nats(folder) as server:
        clients = [await connect(BrokerSettings(urls=server.url), name=name) for name in ("one", "other")]
        settings = StreamSettings(partitions=PARTITIONS, max_bytes=64 << 20)
        await make_streams(server.settings(), settings)
        stream = NatsStream(clients[0], settings)
        yield Transport(
            NatsRequests(clients[0]),
            NatsRequests(clients[1]),
            stream,
            await stream.identity(),
            NatsLog(clients[1], EVENTS, partitions=PARTITIONS),
            NatsLog(clients[1], READINGS, partitions=PARTITIONS),
        )
        for client in clients:
            await client.close()


async def in_memory(_: Path) -> AsyncIterator[Transport]:
    board, stream = Switchboard(), MemoryStream()
    yield Transport(
        MemoryRequests(board), MemoryRequests(board), stream, stream.identity, stream.events, stream.readings
    )


async def simulated(_: Path) -> AsyncIterator[Transport]:
    """In fair weather: messages take their time, none is lost."""
    network, broker = Network(random.Random(0), History(asyncio.get_running_loop().time)), Broker()
    one, other = [BrokerClient(network, broker, Process(name)) for name in ("one", "other")]
    yield Transport(one.requests, other.requests, one.stream, broker.log.identity, other.events, other.readings)


@pytest.fixture(params=[over_nats, in_memory, simulated])
async def transport(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Transport]:
    begin: Callable[[Path], AsyncIterator[Transport]] = request.param
    async for transport in begin(tmp_path):
        yield transport
