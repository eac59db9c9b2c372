"""One device's MQTT connection, QoS 1: bounded, and patient while the server is away."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from iot_system.errors import Unauthenticated, Unavailable

WINDOW = 1000
"""Messages that may wait for their PUBACK."""
PATIENCE_S = 120.0
"""How long nothing may be acknowledged before the sender gives up."""
REFUSALS = 3
"""A token that was made a moment ago may not be known everywhere yet; one that is refused so often is not valid."""
KEEP_ALIVE_S = 30
TOPIC = "v1/devices/me/telemetry"


class MqttSender:
    """Sends telemetry of ``device``. After a broken connection it sends again what was not acknowledged (4.4)."""

    def __init__(self, host: str, port: int, *, device: str, token: str, on_acknowledged: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = (host, port)
        self._on_acknowledged = on_acknowledged
        self._window = asyncio.Semaphore(WINDOW)
        self._waiting = 0
        self._changed = asyncio.Event()
        self._refusals = 0
        self._problem = "no connection yet"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{device}-{secrets.token_hex(4)}",
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        client.username_pw_set(device, token)
        client.max_inflight_messages_set(WINDOW)
        client.reconnect_delay_set(1, 2)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        self._client = client

    def start(self) -> None:
        """Begin to connect; what is sent meanwhile waits."""
        self._client.connect_async(*self._address, keepalive=KEEP_ALIVE_S)
        self._client.loop_start()

    async def send(self, payload: bytes) -> None:
        """Queue one message; waits while too many are not acknowledged. Raises as `drain`."""
        while self._window.locked():
            await self._progress()
        await self._window.acquire()
        self._waiting += 1
        self._client.publish(TOPIC, payload, qos=1)

    async def drain(self) -> None:
        """Return when everything is acknowledged.

        Raises `Unauthenticated` where the server does not let the device in, `Unavailable` where it is away too long.
        """
        while self._waiting:
            await self._progress()

    async def stop(self) -> None:
        """Disconnect; idempotent. What is not acknowledged is given up."""
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def _progress(self) -> None:
        """Return when something was acknowledged."""
        if self._refusals >= REFUSALS:
            raise Unauthenticated(f"MQTT at {self._where}: {self._problem}")
        self._changed.clear()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._changed.wait()
        except TimeoutError:
            raise Unavailable(
                f"MQTT at {self._where}: no acknowledgement for {PATIENCE_S:g} s, {self._waiting} messages wait: "
                f"{self._problem}"
            ) from None

    @property
    def _where(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"

    def _acknowledge(self) -> None:
        self._waiting -= 1
        self._window.release()
        self._changed.set()
        self._on_acknowledged()

    def _connected(self, code: ReasonCode) -> None:
        self._problem = f"CONNECT was answered: {code}" if code.is_failure else "connected"
        # Server unavailable (3) passes; what else is refused has to do with who we are.
        self._refusals = self._refusals + 1 if code.is_failure and code != "Server unavailable" else 0
        self._changed.set()

    def _disconnected(self, code: ReasonCode) -> None:
        if self._problem == "connected":
            self._problem = f"the connection broke: {code}"

    # The client's own thread calls these.

    def _on_connect(
        self, client: Client, data: Any, flags: ConnectFlags, code: ReasonCode, rest: Properties | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._connected, code)

    def _on_disconnect(
        self, client: Client, data: Any, flags: DisconnectFlags, code: ReasonCode, rest: Properties | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._disconnected, code)

    def _on_publish(self, client: Client, data: Any, mid: int, code: ReasonCode, rest: Properties) -> None:
        self._loop.call_soon_threadsafe(self._acknowledge)
