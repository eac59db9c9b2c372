"""What the MQTT server counts and logs of itself. Labels are few words, so that no client can make new time series."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from prometheus_client import Counter, Gauge

CONNECTIONS = Gauge("iot_mqtt_connections", "Connections open")
MESSAGES = Counter("iot_mqtt_messages_total", "PUBLISH packets received", ["qos"])
BYTES = Counter("iot_mqtt_received_bytes_total", "Bytes received")
REFUSED = Counter("iot_mqtt_refused_total", "Messages and connections refused", ["reason"])
DROPPED = Counter("iot_mqtt_dropped_total", "Messages of QoS 0 that a client was too slow for")

LINES_A_SECOND = 10
log = structlog.get_logger()


class Refusals:
    """Counts every refusal; logs `LINES_A_SECOND` at most, so that no client can fill the disk.

    The first line of the next second says how many were left out.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def tell(self, reason: str, why: str, *, device: str | None, client: str) -> None:
        """A message or a connection is refused for ``reason``, one of few words; ``why`` is a sentence."""
        REFUSED.labels(reason).inc()
        second = int(self._now_s())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > LINES_A_SECOND:
            self._left_out += 1
            return
        more = {"left_out": self._left_out} if self._left_out else {}
        self._left_out = 0
        log.warning("refused", reason=reason, why=why, device=device, client=client, **more)
