"""MQTT control packets (3.1.1, OASIS standard of 2014-10-29), as both sides see them, and what can be wrong with one.

Field names are the standard's. Packet identifiers are 1 to 65535; 0 stands for none.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

import msgspec

PROTOCOL_NAME = "MQTT"
PROTOCOL_LEVEL = 4
"""3.1.1; level 3 was MQTT 3.1, level 5 is MQTT 5."""
SUBSCRIPTION_REFUSED = 0x80


class MalformedPacket(Exception):
    """Bytes that are no MQTT packet; ``section`` of the standard tells the rule. The connection cannot go on."""

    reason = "malformed"

    def __init__(self, problem: str, section: str) -> None:
        super().__init__(f"{problem} (MQTT {section})")
        self.section = section


class PacketTooLarge(MalformedPacket):
    """A packet over the limit, told by its header: its content was never buffered."""

    reason = "too_large"


class ConnectCode(IntEnum):
    """Return codes of CONNACK (3.2.2.3)."""

    ACCEPTED = 0
    PROTOCOL_LEVEL = 1
    CLIENT_ID = 2
    UNAVAILABLE = 3
    CREDENTIALS = 4
    NOT_AUTHORIZED = 5


class Will(msgspec.Struct, frozen=True, gc=False):
    """What the client asked to be published should it vanish (3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class Connect(msgspec.Struct, frozen=True, gc=False):
    """CONNECT (3.1). ``keep_alive_s`` 0 switches the keep-alive off.

    Of a protocol level other than 3.1.1's only ``protocol_level`` is known: all that follows it may differ.
    """

    client_id: str
    protocol_level: int = PROTOCOL_LEVEL
    clean_session: bool = True
    keep_alive_s: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None


class ConnAck(msgspec.Struct, frozen=True, gc=False):
    """CONNACK (3.2)."""

    code: int
    session_present: bool = False


class Publish(msgspec.Struct, frozen=True, gc=False):
    """PUBLISH (3.3)."""

    topic: str
    payload: bytes
    qos: int = 0
    packet_id: int = 0
    dup: bool = False
    retain: bool = False


class PubAck(msgspec.Struct, frozen=True, gc=False):
    """PUBACK (3.4): the answer to QoS 1."""

    packet_id: int


class PubRec(msgspec.Struct, frozen=True, gc=False):
    """PUBREC (3.5): QoS 2, received."""

    packet_id: int


class PubRel(msgspec.Struct, frozen=True, gc=False):
    """PUBREL (3.6): QoS 2, released."""

    packet_id: int


class PubComp(msgspec.Struct, frozen=True, gc=False):
    """PUBCOMP (3.7): QoS 2, complete."""

    packet_id: int


class Subscribe(msgspec.Struct, frozen=True, gc=False):
    """SUBSCRIBE (3.8): topic filters, each with the QoS asked for."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


class SubAck(msgspec.Struct, frozen=True, gc=False):
    """SUBACK (3.9): for each filter the QoS granted, or `SUBSCRIPTION_REFUSED`."""

    packet_id: int
    codes: tuple[int, ...]


class Unsubscribe(msgspec.Struct, frozen=True, gc=False):
    """UNSUBSCRIBE (3.10)."""

    packet_id: int
    filters: tuple[str, ...]


class UnsubAck(msgspec.Struct, frozen=True, gc=False):
    """UNSUBACK (3.11)."""

    packet_id: int


class PingReq(msgspec.Struct, frozen=True, gc=False):
    """PINGREQ (3.12)."""


class PingResp(msgspec.Struct, frozen=True, gc=False):
    """PINGRESP (3.13)."""


class Disconnect(msgspec.Struct, frozen=True, gc=False):
    """DISCONNECT (3.14): the client leaves of its own will."""


Acknowledgement: TypeAlias = PubAck | PubRec | PubRel | PubComp | UnsubAck
Packet: TypeAlias = (
    Connect | ConnAck | Publish | Acknowledgement | Subscribe | SubAck | Unsubscribe | PingReq | PingResp | Disconnect
)
