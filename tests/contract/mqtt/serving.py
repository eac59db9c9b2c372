"""A real MQTT server on a loopback socket over a real broker and a gateway in memory, and a client of raw packets."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from iot_system.adapters.mqtt.broker import Broker
from iot_system.adapters.mqtt.broker.router import Router
from iot_system.adapters.mqtt.decoding import Decoder
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, ConnAck, Connect, Packet, PubAck, Publish
from iot_system.adapters.mqtt.protocol import MqttProtocol
from iot_system.adapters.mqtt.server import MqttServer
from iot_system.adapters.nats.broker import NatsBroker
from iot_system.adapters.nats.connection import connect, disconnect
from iot_system.adapters.nats.permissions import API
from iot_system.adapters.nats.requests import NatsRequests
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device
from iot_system.domain.signals import Connected, Disconnected, Signal
from iot_system.ports.clock import SystemClock
from iot_system.ports.gateway import Principal
from iot_system.services.streams import make_streams
from iot_system.settings import StreamSettings

from tests.harness.nats import NatsServer
from tests.unit.http.memory_gateway import ADMIN_TOKEN, MemoryGateway

DEADLINE_S = 20.0
_numbers = itertools.count(1)
TELEMETRY = "v1/devices/me/telemetry"


def reading(number: int, packet_id: int = 0, *, topic: str = TELEMETRY) -> Publish:
    """One reading; QoS 1 with a packet identifier, else QoS 0."""
    return Publish(topic, b'{"t":%d}' % number, 1 if packet_id else 0, packet_id)


class HeldGateway(MemoryGateway):
    """A gateway whose `ingest` calls are noted, and wait while they are held; but for those about connections."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[Telemetry | Signal]] = []
        self._releases: list[asyncio.Event] | None = None
        self._changed = asyncio.Condition()

    def hold(self) -> None:
        """From now on each call waits for its own `release`."""
        self._releases = []

    def release(self, index: int) -> None:
        """Let the call with this index, counted from `hold`, go on."""
        assert self._releases is not None
        self._releases[index].set()

    async def called(self, count: int) -> None:
        """Returns once `ingest` was called ``count`` times in all."""
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.calls) >= count)

    async def ingest(self, principal: Principal, messages: Sequence[Telemetry | Signal]) -> list[Exception | None]:
        if all(isinstance(one, Connected | Disconnected) for one in messages):
            return await super().ingest(principal, messages)
        self.calls.append(list(messages))
        release = asyncio.Event()
        if self._releases is None:
            release.set()
        else:
            self._releases.append(release)
        async with self._changed:
            self._changed.notify_all()
        await release.wait()
        return await super().ingest(principal, messages)


class RawClient:
    """Sends packets and bytes as they are, reads packets one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, level: int) -> None:
        self.writer = writer
        self._reader = reader
        self._level = level
        self._decoder = Decoder(1 << 20, 1 << 20, level)
        self._received: list[Packet] = []

    async def send(self, *packets: Packet) -> None:
        """All packets in one write."""
        await self.send_bytes(b"".join(encode(one, self._level) for one in packets))

    async def send_bytes(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> Packet:
        """The next packet. Raises `EOFError` where the server has closed instead."""
        async with asyncio.timeout(DEADLINE_S):
            while not self._received:
                data = await self._reader.read(65_536)
                if not data:
                    raise EOFError
                self._decoder.feed(data, self._received)
        return self._received.pop(0)

    async def receive_rest(self) -> list[Packet]:
        """All packets until the server closes."""
        rest = []
        while True:
            try:
                rest.append(await self.receive())
            except (EOFError, ConnectionResetError):
                return rest

    def pause(self) -> None:
        """Read nothing any more; the kernel holds only little for us."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def close(self) -> None:
        self.writer.close()


class Served:
    """A running server with the devices ``one`` and ``two``."""

    def __init__(self, server: MqttServer, router: Router, gateway: HeldGateway, tokens: dict[str, str]) -> None:
        self.server = server
        self.router = router
        self.gateway = gateway
        self.tokens = tokens
        self.port = server.port
        self._clients: list[RawClient] = []

    def connect(
        self, device: str = "one", *, client_id: str = "", keep_alive_s: int = 60, level: int = MQTT_3_1_1
    ) -> Connect:
        """What a device, or the administrator, says to get in."""
        password = self.tokens[device].encode()
        return Connect(client_id, level, keep_alive_s=keep_alive_s, username=device, password=password)

    async def open(self, level: int = MQTT_3_1_1) -> RawClient:
        """A client that has said nothing yet; closed with the server."""
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.port), level)
        self._clients.append(client)
        return client

    async def client(
        self, device: str = "one", *, client_id: str = "", keep_alive_s: int = 60, level: int = MQTT_3_1_1
    ) -> RawClient:
        """A client that is let in."""
        client = await self.open(level)
        await client.send(self.connect(device, client_id=client_id, keep_alive_s=keep_alive_s, level=level))
        answer = await client.receive()
        assert isinstance(answer, ConnAck)
        assert answer.reason_code == 0
        return client

    async def check_works(self, device: str = "two") -> None:
        """Another client's message is stored and acknowledged."""
        client = await self.client(device)
        await client.send(Publish(TELEMETRY, b'{"works":true}', 1, 77))
        assert await client.receive() == PubAck(77)

    def shrink_send_buffers(self) -> None:
        """The kernel shall hold only little that clients have not read yet: it would take megabytes."""
        assert self.server._common is not None
        for client in self.server._common.clients:
            assert isinstance(client, MqttProtocol)
            client._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    def stored(self, device: str, metric: str) -> list[object]:
        """All values, by time."""
        found = (one for one in self.gateway.history.values() if (one.device, one.metric) == (device, metric))
        return [one.value for one in sorted(found, key=lambda one: one.time_us)]

    async def aclose(self) -> None:
        for client in self._clients:
            await client.close()


@cache
def _broker() -> NatsServer:
    """One for the whole process: what tests leave in it, a session and a retained message at most, is their own."""
    folder = TemporaryDirectory(prefix="nats-")
    server = NatsServer(Path(folder.name)).start()
    atexit.register(folder.cleanup)
    atexit.register(server.stop)
    return server


@asynccontextmanager
async def serving(limits: MqttLimits | None = None, *, before: Served | None = None) -> AsyncIterator[Served]:
    """Start everything, and stop it; with the port, the devices and the tokens of one that ran ``before``."""
    gateway = HeldGateway()
    tokens = {"admin": ADMIN_TOKEN}
    for id_ in ("one", "two"):
        await gateway.create_device(Device(id=id_))
        tokens[id_] = (await gateway.issue_token(id_)).token
    if before is not None:
        tokens, gateway.tokens = before.tokens, before.gateway.tokens
    gateway.name = f"pod-{next(_numbers)}"
    limits = limits or MqttLimits()
    nats = await connect(_broker().settings(API), name=gateway.name)
    await make_streams(_broker().settings(), StreamSettings())
    backend = NatsBroker(nats, SystemClock())
    await backend.start()
    broker = Broker(gateway.name, backend, NatsRequests(nats), SystemClock(), limits)
    await broker.start()
    port = before.port if before else 0
    server = MqttServer(gateway, broker.router, host="127.0.0.1", port=port, limits=limits)
    await server.start()
    served = Served(server, broker.router, gateway, tokens)
    try:
        yield served
    finally:
        await served.aclose()
        await server.stop(deadline_s=DEADLINE_S)
        await broker.stop()
        await disconnect(nats)
