"""Messages to a client: in their order, and never more unacknowledged than it takes (4.9)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import ceil
from typing import Any

import msgspec

from iot_system.adapters.mqtt.handshake import Terms
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.output import Output
from iot_system.adapters.mqtt.packets import MQTT_5, Publish
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.session import Delivery, Session


class Outbound:
    """One connection's messages of QoS 0 and 1; times are seconds since 1970.

    What an earlier connection sent and the client did not acknowledge is sent again first [MQTT-4.4.0-1].
    """

    def __init__(self, session: Session, output: Output, terms: Terms, limits: MqttLimits) -> None:
        self._session = session
        self._output = output
        self._terms = terms
        self._limits = limits
        self._again = deque(session.in_flight)
        self._unacknowledged = 0
        """Sent on this connection."""
        self._aliases: dict[str, int] = {}
        self.is_blocked = False
        """Whether the client does not read at present: QoS 1 waits, QoS 0 is dropped."""

    def deliver(self, messages: Sequence[Delivery], now_s: float) -> list[Delivery]:
        """Send or queue messages; returns what is dropped: for want of room, or too large for the client."""
        dropped: list[Delivery] = []
        for message in messages:
            if message.qos:
                is_taken = self._session.queue(message, self._limits, now_s)
            elif self.is_blocked or self._output.size > self._limits.output_bytes:
                is_taken = False
            else:
                is_taken = message.is_expired(now_s) or self._send(message, 0, now_s)
            if not is_taken:
                dropped.append(message)
        dropped += self.send_on(now_s)
        return dropped

    def send_on(self, now_s: float) -> list[Delivery]:
        """Send what the client takes now; returns what is dropped because it is too large for it."""
        dropped: list[Delivery] = []
        while not self.is_blocked and self._unacknowledged < self._terms.receive_maximum:
            is_again = bool(self._again)
            if is_again:
                packet_id = self._again.popleft()
                message = self._session.in_flight.get(packet_id)
                if message is None:
                    continue
            elif (taken := self._session.take(now_s)) is not None:
                packet_id, message = taken
            else:
                break
            if self._send(message, packet_id, now_s, dup=is_again):
                self._unacknowledged += 1
            else:
                self._session.acknowledge(packet_id)
                dropped.append(message)
        return dropped

    def acknowledge(self, packet_id: int) -> Delivery | None:
        """PUBACK came; None where nothing is known of what it acknowledges."""
        if packet_id in self._again:  # for what the connection before this one has sent
            self._again.remove(packet_id)
            return self._session.acknowledge(packet_id)
        message = self._session.acknowledge(packet_id)
        if message is not None:
            self._unacknowledged -= 1
        return message

    def _send(self, message: Delivery, packet_id: int, now_s: float, *, dup: bool = False) -> bool:
        """False where the packet is too large for the client."""
        if self._output.level != MQTT_5:
            return self._output.send(
                Publish(message.topic, message.payload, message.qos, packet_id, dup, message.retain)
            )
        topic, alias, is_new = self._alias(message.topic)
        properties = self._properties(message, alias, now_s)
        publish = Publish(topic, message.payload, message.qos, packet_id, dup, message.retain, properties)
        if not self._output.send(publish):
            return False
        if is_new and alias is not None:
            self._aliases[message.topic] = alias
        return True

    def _alias(self, topic: str) -> tuple[str, int | None, bool]:
        """What stands in the packet for a topic: its name, its alias, and whether the client learns the alias by it."""
        if alias := self._aliases.get(topic):
            return "", alias, False
        if len(self._aliases) < self._terms.topic_alias_maximum:
            return topic, len(self._aliases) + 1, True
        return topic, None, False

    def _properties(self, message: Delivery, alias: int | None, now_s: float) -> Properties:
        changes: dict[str, Any] = {}
        if alias is not None:
            changes["topic_alias"] = alias
        if message.expires_s is not None:  # what is left of it [MQTT-3.3.2-6]
            changes["message_expiry_interval"] = max(0, ceil(message.expires_s - now_s))
        return msgspec.structs.replace(message.properties, **changes) if changes else message.properties
