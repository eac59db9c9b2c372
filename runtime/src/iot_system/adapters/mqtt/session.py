"""A session (4.1) while its client is connected: messages on their way. A pod that goes on with it makes it anew.

A session that outlives its connection must be written before the messages of a `Batch` with QoS 2 are stored: its
``inbound`` then tells the id under which each is stored, and a message that comes again after the pod is gone is
stored under the same id. Everything else may be written later.
"""

from __future__ import annotations

import msgspec

from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, Properties, weight

_PACKET_IDS = 0xFFFF
_SERIES = 64


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A message on its way to one client. ``qos`` is 0 or 1, ``expires_s`` counts seconds since 1970.

    ``properties`` are the publisher's and the subscription identifiers; ``id`` is the caller's own name for it.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES
    expires_s: float | None = None
    id: str = ""

    @property
    def size(self) -> int:
        """Bytes that it takes, roughly."""
        return len(self.topic) + len(self.payload) + weight(self.properties)

    def is_expired(self, now_s: float) -> bool:
        return self.expires_s is not None and self.expires_s <= now_s


class Received(msgspec.Struct, frozen=True, gc=False):
    """A message of QoS 2 that is not released: the id it is stored under, and whether it is known to be stored."""

    message_id: str
    is_stored: bool = False


class Session(msgspec.Struct):
    """``id`` is another one each time that a session is begun or taken up.

    Its subscriptions are the broker's to know: `iot_system.adapters.mqtt.broker.attachment.Attachment`.
    """

    client_id: str
    id: str
    expiry_interval_s: int = 0
    """0: it ends with its connection; 0xFFFFFFFF: it never does (3.1.2.11.2)."""
    in_flight: dict[int, Delivery] = msgspec.field(default_factory=dict)
    """By packet identifier, in the order of sending: what the client has not acknowledged."""
    pending: list[Delivery] = msgspec.field(default_factory=list)
    """QoS 1, not sent yet."""
    inbound: dict[int, Received] = msgspec.field(default_factory=dict)
    """By packet identifier: QoS 2, received and not released."""
    queued_bytes: int = 0
    last_packet_id: int = 0
    series: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)
    """By a topic's hash: the number of its series, and of the last message of QoS 2 in it. See `new_message_id`."""
    last_series: int = 0

    def queue(self, message: Delivery, limits: MqttLimits, now_s: float) -> bool:
        """Append a message of QoS 1; False where the session is full."""
        if self._is_full(message, limits):
            self._drop_expired(now_s)
            if self._is_full(message, limits):
                return False
        self.pending.append(message)
        self.queued_bytes += message.size
        return True

    def take(self, now_s: float) -> tuple[int, Delivery] | None:
        """Move the next message that has not expired in flight, under a new packet identifier."""
        for index, message in enumerate(self.pending):
            if not message.is_expired(now_s):
                del self.pending[: index + 1]
                packet_id = self._new_packet_id()
                self.in_flight[packet_id] = message
                return packet_id, message
            self.queued_bytes -= message.size
        self.pending.clear()
        return None

    def acknowledge(self, packet_id: int) -> Delivery | None:
        """The client has it: forget it."""
        message = self.in_flight.pop(packet_id, None)
        if message is not None:
            self.queued_bytes -= message.size
        return message

    def new_message_id(self, topic: str) -> str:
        """For a message of QoS 2: nobody else's, and the next one of its topic: see `iot_system.domain.recognising`."""
        key = hash(topic)
        if key not in self.series:
            if len(self.series) >= _SERIES:
                self.series.clear()
            self.last_series += 1
        series, last = self.series.get(key, (self.last_series, 0))
        self.series[key] = (series, last + 1)
        return f"{self.id}-{series}-{last + 1}"

    def _is_full(self, message: Delivery, limits: MqttLimits) -> bool:
        queued = len(self.in_flight) + len(self.pending)
        return queued >= limits.queued_messages or (
            queued > 0 and self.queued_bytes + message.size > limits.queued_bytes
        )

    def _drop_expired(self, now_s: float) -> None:
        kept = [one for one in self.pending if not one.is_expired(now_s)]
        self.queued_bytes -= sum([one.size for one in self.pending]) - sum([one.size for one in kept])
        self.pending = kept

    def _new_packet_id(self) -> int:
        packet_id = self.last_packet_id
        while True:
            packet_id = packet_id % _PACKET_IDS + 1
            if packet_id not in self.in_flight:
                self.last_packet_id = packet_id
                return packet_id
