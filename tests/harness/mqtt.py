"""A QoS 1 sender on paho-mqtt that writes into the ledger."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from tests.harness.ledger import Entry, Ledger

ACKNOWLEDGE_TIMEOUT_S = 120.0
WINDOW = 200
KEEPALIVE_S = 5
"""A server that is silent for twice as long is given up."""
CONNECT_S = 1.0


class MqttSender:
    """One device's connection. Reconnects by itself, and sends again what was not acknowledged, as MQTT wants it.

    It keeps the order: paho itself lets a new message overtake those that it sends again, so nothing new is sent after
    a broken connection until one of the old ones is acknowledged.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        device: str,
        token: str,
        ledger: Ledger,
        boot: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """With ``boot`` the messages are numbered: one that arrives after a later one counts as a re-send."""
        self._device = device
        self._boot = boot
        self._sent = 0
        self._ledger = ledger
        self._free = threading.Semaphore(WINDOW)
        self._changed = threading.Condition()
        self._unacknowledged = 0
        self._waiting: dict[int, Sequence[Entry]] = {}
        self._early: set[int] = set()
        self._is_open = False
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"test-{device}", clean_session=False, protocol=paho.MQTTv311
        )
        client.username_pw_set(device, token)
        if tls is not None:
            client.tls_set_context(tls)
        client.max_inflight_messages_set(WINDOW)
        client.reconnect_delay_set(0.1, 0.4)  # type: ignore[arg-type]  # seconds, fractions too
        client.connect_timeout = CONNECT_S
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        self._client = client
        client.connect_async(host, port, keepalive=KEEPALIVE_S)
        client.loop_start()

    def send(self, entries: Sequence[Entry]) -> None:
        """Publish the readings of one moment as one message; waits while too many are not acknowledged."""
        assert self._free.acquire(timeout=ACKNOWLEDGE_TIMEOUT_S), f"no PUBACK for {self._device} in time"
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_open, ACKNOWLEDGE_TIMEOUT_S), "no connection in time"
            self._unacknowledged += 1
        self._ledger.send(entries)
        body: dict[str, Any] = {"ts": entries[0].ts, "values": {entry.metric: entry.value for entry in entries}}
        if self._boot is not None:
            self._sent += 1
            body |= {"boot": self._boot, "seq": self._sent}
        # Not under the lock: paho calls back with its own lock held, which this takes too.
        mid = self._client.publish("v1/devices/me/telemetry", json.dumps(body), qos=1).mid
        with self._changed:
            if mid not in self._early:
                self._waiting[mid] = entries
                return
            self._early.remove(mid)
        self._acknowledge(entries)

    def close(self) -> None:
        """Return when everything is acknowledged."""
        with self._changed:
            idle = self._changed.wait_for(lambda: not self._unacknowledged, ACKNOWLEDGE_TIMEOUT_S)
        assert idle, f"{self._unacknowledged} messages of {self._device} without PUBACK"
        self._client.disconnect()
        self._client.loop_stop()

    def _acknowledge(self, entries: Sequence[Entry]) -> None:
        self._ledger.acknowledge(entries)
        self._free.release()
        with self._changed:
            self._unacknowledged -= 1
            self._changed.notify_all()

    def _on_connect(
        self, client: object, userdata: object, flags: object, code: ReasonCode, properties: object
    ) -> None:
        with self._changed:
            self._is_open = not code.is_failure and not self._unacknowledged
            self._changed.notify_all()

    def _on_disconnect(self, *arguments: object) -> None:
        with self._changed:
            self._is_open = False

    def _on_publish(self, client: object, userdata: object, mid: int, reason: object, properties: object) -> None:
        with self._changed:
            self._is_open = True
            self._changed.notify_all()
            entries = self._waiting.pop(mid, None)
            if entries is None:
                self._early.add(mid)
                return
        self._acknowledge(entries)
