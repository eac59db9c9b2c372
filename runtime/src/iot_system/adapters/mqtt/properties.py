"""Properties of MQTT 5 (2.2.2): one frozen struct for all packets, and a table that says what each packet may bear."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from iot_system.adapters.mqtt.fields import Body, encode_binary, encode_text, encode_variable
from iot_system.adapters.mqtt.malformed import PacketTooLarge, ProtocolError, TopicAliasInvalid

PROPERTIES_LIMIT = 16 * 1024
"""Bytes of all properties of one packet: each takes many times its size in memory."""
WILL = "the will"
"""Takes the place of a packet's name for the properties of a will (3.1.3.2)."""


class Properties(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Names are the standard's, intervals are seconds; None stands for a property that is not there."""

    payload_format_indicator: int | None = None
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_identifier: tuple[int, ...] = ()
    session_expiry_interval: int | None = None
    assigned_client_identifier: str | None = None
    server_keep_alive: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: int | None = None
    will_delay_interval: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user_property: tuple[tuple[str, str], ...] = ()
    maximum_packet_size: int | None = None
    wildcard_subscription_available: int | None = None
    subscription_identifier_available: int | None = None
    shared_subscription_available: int | None = None


NO_PROPERTIES = Properties()
_PAIR_BYTES = 128
"""What a user property takes beyond its text."""


class _Property(NamedTuple):
    name: str
    decode: Callable[[Body, str], Any]
    encode: Callable[[Any], bytes]
    packets: frozenset[str]
    repeats_in: str = ""


def decode_properties(body: Body, owner: str) -> Properties:
    """The properties that come next in ``body``; ``owner`` is the packet's name, or `WILL`.

    Raises `MalformedPacket`: `ProtocolError` for one that is there twice or does not belong to ``owner``.
    """
    length = body.variable("property length")
    if not length:
        return NO_PROPERTIES
    if length > PROPERTIES_LIMIT:
        raise PacketTooLarge(
            f"the properties of {owner} have {length} bytes; the limit is {PROPERTIES_LIMIT}", "2.2.2.1"
        )
    part = body.part(length, "properties", "2.2.2.1")
    found: dict[str, Any] = {}
    while part.rest:
        number = part.variable("property identifier")
        known = _PROPERTIES.get(number)
        if known is None:
            raise ProtocolError(f"{owner} has the unknown property 0x{number:02X}", "2.2.2.2")
        if owner not in known.packets:
            raise ProtocolError(f"{known.name} is no property of {owner}", "2.2.2.2")
        value = known.decode(part, known.name)
        if known.repeats_in:
            values = found.setdefault(known.name, [])
            values.append(value)
            is_twice = len(values) > 1 and known.repeats_in not in (owner, _ANY)
        else:
            is_twice = known.name in found
            found[known.name] = value
        if is_twice:
            raise ProtocolError(f"{owner} has the property {known.name} twice", "2.2.2.2")
    for name, value in found.items():
        if type(value) is list:
            found[name] = tuple(value)
    return Properties(**found)


def encode_properties(properties: Properties) -> bytes:
    """Their length and they themselves. Raises `ValueError` for what a field cannot hold."""
    if properties is NO_PROPERTIES:
        return b"\0"
    parts: list[bytes] = []
    for number, known in _PROPERTIES.items():
        value = getattr(properties, known.name)
        if known.repeats_in:
            parts += [bytes((number,)) + known.encode(one) for one in value]
        elif value is not None:
            parts.append(bytes((number,)) + known.encode(value))
    data = b"".join(parts)
    return encode_variable(len(data)) + data


def weight(properties: Properties) -> int:
    """Bytes that they take in memory, roughly."""
    if properties is NO_PROPERTIES:
        return 0
    texts = (properties.content_type, properties.response_topic, properties.correlation_data)
    pairs = [len(name) + len(value) for name, value in properties.user_property]
    return sum([len(one) for one in texts if one is not None]) + sum(pairs) + _PAIR_BYTES * len(pairs)


def _flag(body: Body, name: str) -> int:
    value = body.byte(name, "2.2.2.2")
    if value > 1:
        raise ProtocolError(f"{name} is {value}; it is 0 or 1", "2.2.2.2")
    return value


def _two(body: Body, name: str) -> int:
    return body.two(name, "2.2.2.2")


def _four(body: Body, name: str) -> int:
    return body.four(name, "2.2.2.2")


def _text(body: Body, name: str) -> str:
    return body.text(name, "2.2.2.2")


def _binary(body: Body, name: str) -> bytes:
    return body.binary(name, "2.2.2.2")


def _pair(body: Body, name: str) -> tuple[str, str]:
    return _text(body, name), _text(body, name)


def _identifier(body: Body, name: str) -> int:
    return _not_0(body.variable(name), name)


def _two_not_0(body: Body, name: str) -> int:
    return _not_0(_two(body, name), name)


def _four_not_0(body: Body, name: str) -> int:
    return _not_0(_four(body, name), name)


def _not_0(value: int, name: str) -> int:
    if not value:
        raise ProtocolError(f"{name} is 0", "2.2.2.2")
    return value


def _alias(body: Body, name: str) -> int:
    if alias := _two(body, name):
        return alias
    raise TopicAliasInvalid("the topic alias is 0", "3.3.2.3.4")


def _response_topic(body: Body, name: str) -> str:
    topic = _text(body, name)
    if not topic or "+" in topic or "#" in topic:
        raise ProtocolError(f"the response topic {topic[:100]!r} is empty or has a wildcard", "3.3.2.3.5")
    return topic


def _encode_pair(pair: tuple[str, str]) -> bytes:
    return encode_text(pair[0]) + encode_text(pair[1])


_ANY = "any"
_BYTE, _TWO, _FOUR = Struct(">B").pack, Struct(">H").pack, Struct(">I").pack
_CONTENT = frozenset(("PUBLISH", WILL))
_CONNECT = frozenset(("CONNECT",))
_CONNACK = frozenset(("CONNACK",))
_OPENING = _CONNECT | _CONNACK
_ANSWERS = _CONNACK | {"PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK", "DISCONNECT", "AUTH"}
_ALL = _CONTENT | _CONNECT | _ANSWERS | {"SUBSCRIBE", "UNSUBSCRIBE"}

_PROPERTIES = {
    0x01: _Property("payload_format_indicator", _flag, _BYTE, _CONTENT),
    0x02: _Property("message_expiry_interval", _four, _FOUR, _CONTENT),
    0x03: _Property("content_type", _text, encode_text, _CONTENT),
    0x08: _Property("response_topic", _response_topic, encode_text, _CONTENT),
    0x09: _Property("correlation_data", _binary, encode_binary, _CONTENT),
    0x0B: _Property(
        "subscription_identifier", _identifier, encode_variable, frozenset(("PUBLISH", "SUBSCRIBE")), "PUBLISH"
    ),
    0x11: _Property("session_expiry_interval", _four, _FOUR, _OPENING | {"DISCONNECT"}),
    0x12: _Property("assigned_client_identifier", _text, encode_text, _CONNACK),
    0x13: _Property("server_keep_alive", _two, _TWO, _CONNACK),
    0x15: _Property("authentication_method", _text, encode_text, _OPENING | {"AUTH"}),
    0x16: _Property("authentication_data", _binary, encode_binary, _OPENING | {"AUTH"}),
    0x17: _Property("request_problem_information", _flag, _BYTE, _CONNECT),
    0x18: _Property("will_delay_interval", _four, _FOUR, frozenset((WILL,))),
    0x19: _Property("request_response_information", _flag, _BYTE, _CONNECT),
    0x1A: _Property("response_information", _text, encode_text, _CONNACK),
    0x1C: _Property("server_reference", _text, encode_text, _CONNACK | {"DISCONNECT"}),
    0x1F: _Property("reason_string", _text, encode_text, _ANSWERS),
    0x21: _Property("receive_maximum", _two_not_0, _TWO, _OPENING),
    0x22: _Property("topic_alias_maximum", _two, _TWO, _OPENING),
    0x23: _Property("topic_alias", _alias, _TWO, frozenset(("PUBLISH",))),
    0x24: _Property("maximum_qos", _flag, _BYTE, _CONNACK),
    0x25: _Property("retain_available", _flag, _BYTE, _CONNACK),
    0x26: _Property("user_property", _pair, _encode_pair, _ALL, _ANY),
    0x27: _Property("maximum_packet_size", _four_not_0, _FOUR, _OPENING),
    0x28: _Property("wildcard_subscription_available", _flag, _BYTE, _CONNACK),
    0x29: _Property("subscription_identifier_available", _flag, _BYTE, _CONNACK),
    0x2A: _Property("shared_subscription_available", _flag, _BYTE, _CONNACK),
}
"""By property identifier: the table of 2.2.2.2."""
