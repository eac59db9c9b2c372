"""Reason codes of MQTT 5 (2.4), which packets may bear which, and what 3.1.1 has in their place."""

from __future__ import annotations

from enum import IntEnum


class ReasonCode(IntEnum):
    """From 0x80 on they are failures. 0x00 is also a granted QoS 0 and a normal disconnection."""

    SUCCESS = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL_MESSAGE = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    RE_AUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


class ConnectCode(IntEnum):
    """Return codes of 3.1.1's CONNACK (3.1.1, 3.2.2.3)."""

    ACCEPTED = 0
    PROTOCOL_LEVEL = 1
    CLIENT_ID = 2
    UNAVAILABLE = 3
    CREDENTIALS = 4
    NOT_AUTHORIZED = 5


SUBSCRIPTION_REFUSED = 0x80
"""The one failure that 3.1.1's SUBACK knows."""

_CONNECT_CODES = {
    ReasonCode.UNSUPPORTED_PROTOCOL_VERSION: ConnectCode.PROTOCOL_LEVEL,
    ReasonCode.CLIENT_IDENTIFIER_NOT_VALID: ConnectCode.CLIENT_ID,
    ReasonCode.BAD_USER_NAME_OR_PASSWORD: ConnectCode.CREDENTIALS,
    ReasonCode.NOT_AUTHORIZED: ConnectCode.NOT_AUTHORIZED,
    ReasonCode.BANNED: ConnectCode.NOT_AUTHORIZED,
}


def connect_code(code: ReasonCode) -> ConnectCode:
    """What a client of 3.1.1 is told in CONNACK: where nothing fits better, that the server is unavailable."""
    return _CONNECT_CODES.get(code, ConnectCode.UNAVAILABLE)


def _codes(*numbers: int) -> dict[int, ReasonCode]:
    return {number: ReasonCode(number) for number in numbers}


_MESSAGE = _codes(0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)
_RELEASE = _codes(0x00, 0x92)
ALLOWED: dict[str, dict[int, ReasonCode]] = {
    "CONNACK": _codes(0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, *range(0x99, 0x9E), 0x9F),
    "PUBACK": _MESSAGE,
    "PUBREC": _MESSAGE,
    "PUBREL": _RELEASE,
    "PUBCOMP": _RELEASE,
    "SUBACK": _codes(0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2),
    "UNSUBACK": _codes(0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91),
    "DISCONNECT": _codes(
        *(0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B), *(0x8D, 0x8E, 0x8F, 0x90), *range(0x93, 0xA3)
    ),
    "AUTH": _codes(0x00, 0x18, 0x19),
}
"""By packet: the tables of 3.2.2.2, 3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1, 3.9.3, 3.11.3, 3.14.2.1 and 3.15.2.1."""
