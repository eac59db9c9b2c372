"""What waits to be written to one client."""

from __future__ import annotations

import msgspec

from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.packets import Packet
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, Properties


class Output:
    """Encodes for one protocol level; nothing larger than the client's maximum packet size leaves [MQTT-3.1.2-24]."""

    def __init__(self, level: int) -> None:
        self.level = level
        self.maximum_packet_size: int | None = None
        self.tells_problems = True
        """Whether the client wants reason strings (3.1.2.11.7)."""
        self.size = 0
        self._parts: list[bytes] = []

    def send(self, packet: Packet) -> bool:
        """Append one packet; False, as though it were sent, where the client cannot take it [MQTT-3.1.2-25]."""
        data = encode(packet, self.level)
        if self.maximum_packet_size is not None and len(data) > self.maximum_packet_size:
            return False
        self.append(data)
        return True

    def append(self, data: bytes) -> None:
        """Append packets that are encoded already, of a few bytes each."""
        self._parts.append(data)
        self.size += len(data)

    def explain(self, why: str | None) -> Properties:
        """A reason string, where the client wants it and there is one."""
        return Properties(reason_string=why) if why and self.tells_problems else NO_PROPERTIES

    def send_explained(self, packet: Packet) -> None:
        """Append an answer, without its reason string if that makes it too large [MQTT-3.4.2-2]."""
        if not self.send(packet):
            self.send(msgspec.structs.replace(packet, properties=NO_PROPERTIES))

    def take(self) -> bytes:
        """Everything; nothing waits then."""
        data = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return data
