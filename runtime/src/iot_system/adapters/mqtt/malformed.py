"""What can be wrong with bytes that claim to be MQTT.

Sections are those of MQTT 5 (OASIS standard of 2019-03-07); 3.1.1 has the same rules, under 1.5.3, 2.2 and 2.3 where
MQTT 5 has 1.5.4, 2.1 and 2.2.
"""

from __future__ import annotations

from iot_system.adapters.mqtt.reasons import ReasonCode


class MalformedPacket(Exception):
    """The connection cannot go on; ``section`` of the standard tells the rule, ``code`` is for a client of MQTT 5."""

    reason = "malformed"
    code = ReasonCode.MALFORMED_PACKET

    def __init__(self, problem: str, section: str) -> None:
        super().__init__(f"{problem} (MQTT {section})")
        self.section = section


class ProtocolError(MalformedPacket):
    """A packet that can be read, but may not be sent so, or not now."""

    reason = "protocol"
    code = ReasonCode.PROTOCOL_ERROR


class PacketTooLarge(MalformedPacket):
    """A packet over the limit, told by its header: its content was never buffered."""

    reason = "too_large"
    code = ReasonCode.PACKET_TOO_LARGE


class TopicAliasInvalid(ProtocolError):
    """A topic alias that is 0 or above the maximum that the server has told."""

    code = ReasonCode.TOPIC_ALIAS_INVALID


class ReceiveMaximumExceeded(ProtocolError):
    """More messages unacknowledged than the server has told that it takes."""

    reason = "receive_maximum"
    code = ReasonCode.RECEIVE_MAXIMUM_EXCEEDED
