"""A device by MQTT 3.1.1 with QoS 1, on as little as there can be: a client library costs ten times as much.

After a broken connection what is not acknowledged goes out again, in its order and before anything new (4.4).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Iterable
from typing import cast

from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.packets import Connect, Disconnect, PingReq, Publish

from tests.harness.load.script import BOOT
from tests.harness.load.sending import Sending

WINDOW = 200
"""Messages on their way."""
PACKET_IDS = 65_535
KEEP_ALIVE_S = 5
"""A server that is silent for twice as long is given up."""
CONNECT_S = 2.0
RETRY_S = 0.2
CONNACK, PUBACK, PINGRESP = 0x20, 0x40, 0xD0
_PUBACK_BYTES = 4


class MqttDevice(asyncio.Protocol):
    """`keep_connected` runs as a task, `send` is called from time to time."""

    def __init__(self, sending: Sending) -> None:
        self.sending = sending
        self.connections = 0
        self._topic = f"v1/devices/{sending.device.id}/telemetry"
        self._on_their_way: dict[int, int] = {}
        """Packet id → number, in the order in which they were sent."""
        self._transport: asyncio.Transport | None = None
        self._is_accepted = False
        self._heard_s = 0.0
        self._buffer = b""
        self._lost = asyncio.Event()

    async def keep_connected(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Connect, again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._lost.clear()
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(CONNECT_S):
                        await loop.create_connection(lambda: self, host, port, ssl=tls)
                    while not await self._is_lost_within(KEEP_ALIVE_S):
                        self._look()
                await asyncio.sleep(RETRY_S)
        finally:
            if self._transport is not None:
                self._transport.write(encode(Disconnect()))
                self._transport.close()

    def begin(self) -> range:
        """Numbers of messages that are due, and can go out: see `send`."""
        return self.sending.begin(WINDOW - len(self._on_their_way)) if self._is_accepted else range(0)

    def send(self, numbers: Iterable[int]) -> None:
        """Send messages that are in the ledger. Where the connection has ended meanwhile, the next one brings them."""
        for number in numbers:
            self._on_their_way[number % PACKET_IDS + 1] = number
        self._write(numbers, again=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's have no base class of asyncio's
        self._buffer, self._heard_s = b"", time.monotonic()
        self.connections += 1
        name, token = self.sending.device.id, (self.sending.device.token or "").encode()
        hello = Connect(f"load-{name}", keep_alive_s=KEEP_ALIVE_S, clean_start=False, username=name, password=token)
        self._transport.write(encode(hello))

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_accepted, self._transport = False, None
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        self._heard_s = time.monotonic()
        data = self._buffer + data
        begin, numbers = 0, list[int]()
        while len(data) - begin >= 2 and len(data) - begin >= 2 + data[begin + 1]:
            packet = data[begin : begin + 2 + data[begin + 1]]
            begin += len(packet)
            if packet[0] == PUBACK and len(packet) == _PUBACK_BYTES:
                number = self._on_their_way.pop(int.from_bytes(packet[2:]), None)
                if number is not None:
                    numbers.append(number)
            elif packet[0] == CONNACK and packet[3] == 0:
                self._is_accepted = True
                self._write(self._on_their_way.values(), again=True)
            elif packet[0] != PINGRESP:
                self._abort()
                break
        self._buffer = data[begin:]
        self.sending.acknowledge(numbers)

    async def _is_lost_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._lost.wait()
        except TimeoutError:
            return False

    def _look(self) -> None:
        if time.monotonic() - self._heard_s > 2 * KEEP_ALIVE_S:
            self._abort()
        elif self._transport is not None:
            self._transport.write(encode(PingReq()))

    def _abort(self) -> None:
        self._is_accepted = False
        if self._transport is not None:
            self._transport.abort()

    def _write(self, numbers: Iterable[int], *, again: bool) -> None:
        if self._transport is not None and self._is_accepted:
            self._transport.writelines([self._publish(number, again=again) for number in numbers])

    def _publish(self, number: int, *, again: bool) -> bytes:
        ts, values = self.sending.ts_and_values(number)
        name = b'"boot":"%s","seq":%d,' % (BOOT, number) if self.sending.device.is_numbered else b""
        body = b'{%s"ts":%d,"values":%s}' % (name, ts, values)
        return encode(Publish(self._topic, body, 1, number % PACKET_IDS + 1, dup=again))
