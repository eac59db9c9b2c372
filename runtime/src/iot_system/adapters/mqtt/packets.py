"""MQTT control packets as both sides see them: 3.1.1 (OASIS standard of 2014-10-29) and 5 (of 2019-03-07).

Field names are the standard's. Packet identifiers are 1 to 65535; 0 stands for none. Properties, and reason codes of
acknowledgements, are MQTT 5's; in 3.1.1 they have their defaults.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from iot_system.adapters.mqtt.properties import NO_PROPERTIES, Properties
from iot_system.adapters.mqtt.reasons import ReasonCode

PROTOCOL_NAME = "MQTT"
MQTT_3_1_1 = 4
MQTT_5 = 5
"""Protocol levels; 3 was MQTT 3.1."""


class Will(msgspec.Struct, frozen=True, gc=False):
    """What the client asked to be published should it vanish (3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES


class Connect(msgspec.Struct, frozen=True, gc=False):
    """CONNECT (3.1). ``keep_alive_s`` 0 switches the keep-alive off; 3.1.1 calls a clean start a clean session.

    Of a protocol level other than 4 and 5 only ``protocol_level`` is known: all that follows it may differ.
    """

    client_id: str
    protocol_level: int = MQTT_3_1_1
    clean_start: bool = True
    keep_alive_s: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties = NO_PROPERTIES


class ConnAck(msgspec.Struct, frozen=True, gc=False):
    """CONNACK (3.2). ``reason_code`` is a `ReasonCode`, in 3.1.1 a `ConnectCode`."""

    reason_code: int
    session_present: bool = False
    properties: Properties = NO_PROPERTIES


class Publish(msgspec.Struct, frozen=True, gc=False):
    """PUBLISH (3.3)."""

    topic: str
    payload: bytes
    qos: int = 0
    packet_id: int = 0
    dup: bool = False
    retain: bool = False
    properties: Properties = NO_PROPERTIES


class PubAck(msgspec.Struct, frozen=True, gc=False):
    """PUBACK (3.4): the answer to QoS 1."""

    packet_id: int
    reason_code: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES


class PubRec(msgspec.Struct, frozen=True, gc=False):
    """PUBREC (3.5): QoS 2, received."""

    packet_id: int
    reason_code: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES


class PubRel(msgspec.Struct, frozen=True, gc=False):
    """PUBREL (3.6): QoS 2, released."""

    packet_id: int
    reason_code: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES


class PubComp(msgspec.Struct, frozen=True, gc=False):
    """PUBCOMP (3.7): QoS 2, complete."""

    packet_id: int
    reason_code: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES


class Options(msgspec.Struct, frozen=True, gc=False):
    """Subscription options (3.8.3.1); 3.1.1 has ``qos`` alone."""

    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0
    """Retained messages are sent 0 at each subscription, 1 at a new one, 2 never."""


class Subscribe(msgspec.Struct, frozen=True, gc=False):
    """SUBSCRIBE (3.8): topic filters, each with its options."""

    packet_id: int
    filters: tuple[tuple[str, Options], ...]
    properties: Properties = NO_PROPERTIES


class SubAck(msgspec.Struct, frozen=True, gc=False):
    """SUBACK (3.9): for each filter the QoS granted, or a failure (in 3.1.1 `SUBSCRIPTION_REFUSED`)."""

    packet_id: int
    reason_codes: tuple[ReasonCode, ...]
    properties: Properties = NO_PROPERTIES


class Unsubscribe(msgspec.Struct, frozen=True, gc=False):
    """UNSUBSCRIBE (3.10)."""

    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = NO_PROPERTIES


class UnsubAck(msgspec.Struct, frozen=True, gc=False):
    """UNSUBACK (3.11): in MQTT 5 with a reason code for each filter."""

    packet_id: int
    reason_codes: tuple[ReasonCode, ...] = ()
    properties: Properties = NO_PROPERTIES


class PingReq(msgspec.Struct, frozen=True, gc=False):
    """PINGREQ (3.12)."""


class PingResp(msgspec.Struct, frozen=True, gc=False):
    """PINGRESP (3.13)."""


class Disconnect(msgspec.Struct, frozen=True, gc=False):
    """DISCONNECT (3.14): the sender leaves; in MQTT 5 it says why."""

    reason_code: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES


class Auth(msgspec.Struct, frozen=True, gc=False):
    """AUTH (3.15), of MQTT 5 alone."""

    reason_code: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES


Acknowledgement: TypeAlias = PubAck | PubRec | PubRel | PubComp
Packet: TypeAlias = (
    Connect
    | ConnAck
    | Publish
    | Acknowledgement
    | Subscribe
    | SubAck
    | Unsubscribe
    | UnsubAck
    | PingReq
    | PingResp
    | Disconnect
    | Auth
)
