"""What the MQTT server counts and logs of itself. Labels are few words, so that no client can make new time series."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Counter, Gauge

from iot_system.adapters.refusals import Refusals

CONNECTIONS = Gauge("iot_mqtt_connections", "Connections open")
MESSAGES = Counter("iot_mqtt_messages_total", "PUBLISH packets received", ["qos"])
BYTES = Counter("iot_mqtt_received_bytes_total", "Bytes received")
REFUSED = Counter("iot_mqtt_refused_total", "Messages and connections refused", ["reason"])
DROPPED = Counter("iot_mqtt_dropped_total", "Messages of QoS 0 that a client was too slow for")


class MqttRefusals:
    """Counts every refusal, and logs it as `iot_system.adapters.refusals.Refusals` does."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._lines = Refusals(now_s)

    def tell(self, reason: str, why: str, *, device: str | None, client: str) -> None:
        """A message or a connection is refused for ``reason``, one of few words; ``why`` is a sentence."""
        REFUSED.labels(reason).inc()
        self._lines.tell(reason, why, device=device, client=client)
