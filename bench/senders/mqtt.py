"""Many devices by MQTT 3.1.1 with QoS 1: a connection each, with a window of messages in flight.

Packets are made by the system's own codec, before the time that is measured. Acknowledgements come in the order of the
packets (4.6), so they are compared with what must come, bytes with bytes, instead of being decoded.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import cast

from iot_system.adapters.mqtt.encoding import encode, encode_pubacks
from iot_system.adapters.mqtt.packets import ConnAck, Connect, Disconnect, Publish
from iot_system.adapters.mqtt.reasons import ConnectCode

from bench.senders.orders import Order
from bench.workload import device

HOST = "127.0.0.1"
WINDOW = 100
"""Messages in flight per device; it is filled up again when half of it is free."""
PUBACK_BYTES = 4
PACKET_IDS = 65_535
KEEP_ALIVE_S = 600
_ACCEPTED = encode(ConnAck(ConnectCode.ACCEPTED))


class DeviceConnection(asyncio.Protocol):
    """One device. ``failed`` and the end of ``accepted`` or ``finished`` tell what happened."""

    _transport: asyncio.Transport

    def __init__(self, connect: Connect, publishes: Sequence[bytes]) -> None:
        self._connect = connect
        self._publishes = publishes
        self._due = encode_pubacks([_packet_id(index) for index in range(len(publishes))])
        self._acknowledged_bytes = 0
        self._sent = 0
        loop = asyncio.get_running_loop()
        self._answer = b""
        self.accepted: asyncio.Future[None] = loop.create_future()
        self.finished: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's have no base class of asyncio's
        self._transport.write(encode(self._connect))

    def data_received(self, data: bytes) -> None:
        if not self.accepted.done():
            self._answer += data
            if self._answer == _ACCEPTED:
                self.accepted.set_result(None)
            elif not _ACCEPTED.startswith(self._answer):
                self._fail(f"CONNECT was answered by {self._answer.hex(' ')}")
            return
        before, self._acknowledged_bytes = self._acknowledged_bytes, self._acknowledged_bytes + len(data)
        if data != self._due[before : self._acknowledged_bytes]:
            self._fail(f"{data[:16].hex(' ')} came where {self._due[before : before + 16].hex(' ')} was due")
        elif self._acknowledged_bytes == len(self._due):
            self.finished.set_result(None)
        else:
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection ended: {exc or 'the server closed it'}")

    def send(self) -> None:
        """Fill the window."""
        acknowledged = self._acknowledged_bytes // PUBACK_BYTES
        if self._sent - acknowledged <= WINDOW // 2 and self._sent < len(self._publishes):
            begin, self._sent = self._sent, min(acknowledged + WINDOW, len(self._publishes))
            self._transport.writelines(self._publishes[begin : self._sent])

    def close(self) -> None:
        """Leave."""
        self._transport.write(encode(Disconnect()))
        self._transport.close()

    def _fail(self, why: str) -> None:
        for future in (self.accepted, self.finished):
            if not future.done():
                future.set_exception(ConnectionError(f"{self._connect.client_id}: {why}"))
                future.exception()  # whoever waits has it; nobody must


class MqttSender:
    """Implements `bench.senders.sender.Sender`."""

    def __init__(self, connections: Sequence[DeviceConnection]) -> None:
        self._connections = connections

    async def send(self) -> None:
        """See `bench.senders.sender.Sender.send`."""
        for connection in self._connections:
            connection.send()
        await asyncio.gather(*(connection.finished for connection in self._connections))


@contextlib.asynccontextmanager
async def connect(order: Order) -> AsyncIterator[MqttSender]:
    """Connect all devices, each with its own password where there are any."""
    connections: list[DeviceConnection] = []
    try:
        for number in range(order.workload.devices):
            topic = f"v1/devices/{device(number)}/telemetry"
            publishes = [
                encode(Publish(topic, payload, 1, _packet_id(index)))
                for index, payload in enumerate(order.workload.payloads(number))
            ]
            password = order.passwords[number] if order.passwords else None
            connections.append(await join(order.port, number, password, publishes))
        yield MqttSender(connections)
    finally:
        for connection in connections:
            connection.close()


async def join(port: int, number: int, password: str | None, publishes: Sequence[bytes] = ()) -> DeviceConnection:
    """Connect a device to a server on loopback. Raises `ConnectionError` where it is refused."""
    name, secret = device(number), password.encode() if password else None
    hello = Connect(name, keep_alive_s=KEEP_ALIVE_S, username=name if secret else None, password=secret)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: DeviceConnection(hello, publishes), HOST, port)
    await connection.accepted
    return connection


def _packet_id(index: int) -> int:
    return index % PACKET_IDS + 1
