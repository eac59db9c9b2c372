"""What follows the fixed header: one function per packet type, for 3.1.1 and 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from iot_system.adapters.mqtt import packets
from iot_system.adapters.mqtt.fields import Body
from iot_system.adapters.mqtt.malformed import MalformedPacket, ProtocolError
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, PROTOCOL_NAME, Acknowledgement, Connect, Packet, Will
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, WILL, Properties, decode_properties
from iot_system.adapters.mqtt.reasons import SUBSCRIPTION_REFUSED, ReasonCode
from iot_system.adapters.mqtt.topics import check_filter, check_topic, parse_shared


def decode_body(first: int, data: bytes, level: int) -> Packet:
    """Decode the packet with the first byte ``first`` and the body ``data``; any but PUBLISH.

    ``level`` is the connection's protocol level; a CONNECT has its own.
    """
    kind = _KINDS.get(first >> 4)
    if kind is None or (first >> 4 == _AUTH and level != MQTT_5):
        raise MalformedPacket(f"packet type {first >> 4} is reserved", "2.1.2")
    if first & 0x0F != kind.flags:
        raise MalformedPacket(f"{kind.name} has the flags {first & 0x0F:04b}, not {kind.flags:04b}", "2.1.3")
    body = Body(kind.name, data, level == MQTT_5)
    packet = kind.decode(body)
    body.end(kind.section)
    return packet


def _properties(body: Body) -> Properties:
    return decode_properties(body, body.packet) if body.is_v5 else NO_PROPERTIES


def _connect(body: Body) -> Packet:
    name = body.text("protocol name", "3.1.2.1")
    if name not in (PROTOCOL_NAME, "MQIsdp"):
        raise MalformedPacket(f"the protocol name is {name[:16]!r}, not {PROTOCOL_NAME!r}", "3.1.2.1")
    level = body.byte("protocol level", "3.1.2.2")
    if name != PROTOCOL_NAME or level not in (MQTT_3_1_1, MQTT_5):
        body.skip()
        return Connect("", level)
    body.is_v5 = level == MQTT_5
    flags = body.byte("connect flags", "3.1.2.3")
    if flags & 0x01:
        raise MalformedPacket("the reserved flag of CONNECT is set", "3.1.2.3")
    keep_alive_s = body.two("keep-alive", "3.1.2.10")
    properties = _properties(body)
    if properties.authentication_data is not None and properties.authentication_method is None:
        raise ProtocolError("CONNECT has authentication data, but no method", "3.1.2.11.10")
    client_id = body.text("client identifier", "3.1.3.1")
    will = _will(body, flags)
    username = body.text("user name", "3.1.3.5") if flags & 0x80 else None
    if flags & 0x40 and username is None and not body.is_v5:
        raise MalformedPacket("CONNECT has a password, but no user name", "3.1.2.9")
    password = body.binary("password", "3.1.3.6") if flags & 0x40 else None
    return Connect(client_id, level, bool(flags & 0x02), keep_alive_s, username, password, will, properties)


def _will(body: Body, flags: int) -> Will | None:
    qos, retain = flags >> 3 & 3, bool(flags & 0x20)
    if not flags & 0x04:
        if qos or retain:
            raise MalformedPacket("CONNECT has a will QoS or will retain without a will", "3.1.2.6")
        return None
    if qos == 3:
        raise MalformedPacket("CONNECT has the will QoS 3", "3.1.2.6")
    properties = decode_properties(body, WILL) if body.is_v5 else NO_PROPERTIES
    topic = check_topic(body.text("will topic", "3.1.3.3"))
    return Will(topic, body.binary("will message", "3.1.3.4"), qos, retain, properties)


def _connack(body: Body) -> Packet:
    flags = body.byte("flags", "3.2.2.1")
    if flags > 1:
        raise MalformedPacket("CONNACK has reserved flags", "3.2.2.1")
    code = body.reason_code() if body.is_v5 else body.byte("return code", "3.2.2.2")
    return packets.ConnAck(code, bool(flags), _properties(body))


def _subscribe(body: Body) -> Packet:
    packet_id = body.packet_id()
    properties = _properties(body)
    filters: list[tuple[str, packets.Options]] = []
    while body.rest or not filters:
        filter_ = check_filter(body.text("topic filter", "3.8.3"))
        filters.append((filter_, _options(body, filter_)))
    return packets.Subscribe(packet_id, tuple(filters), properties)


def _options(body: Body, filter_: str) -> packets.Options:
    byte = body.byte("requested QoS", "3.8.3")
    qos, handling = byte & 0x03, byte >> 4 & 0x03
    if not body.is_v5:
        if byte > 2:
            raise MalformedPacket(f"SUBSCRIBE has the QoS byte {byte}", "3.8.3")
        return packets.Options(qos)
    if byte & 0xC0:
        raise MalformedPacket("SUBSCRIBE has reserved subscription options", "3.8.3.1")
    if qos == 3 or handling == 3:
        raise ProtocolError(f"SUBSCRIBE has the QoS {qos} and the retain handling {handling}", "3.8.3.1")
    if byte & 0x04 and parse_shared(filter_) is not None:
        raise ProtocolError("a shared subscription has the option No Local", "3.8.3.1")
    return packets.Options(qos, bool(byte & 0x04), bool(byte & 0x08), handling)


def _suback(body: Body) -> Packet:
    packet_id = body.packet_id()
    properties = _properties(body)
    codes: list[ReasonCode] = []
    while body.rest or not codes:
        code = body.reason_code()
        if not body.is_v5 and code > 2 and code != SUBSCRIPTION_REFUSED:
            raise MalformedPacket(f"SUBACK has the return code {code}", "3.9.3")
        codes.append(code)
    return packets.SubAck(packet_id, tuple(codes), properties)


def _unsubscribe(body: Body) -> Packet:
    packet_id = body.packet_id()
    properties = _properties(body)
    filters: list[str] = []
    while body.rest or not filters:
        filters.append(check_filter(body.text("topic filter", "3.10.3")))
    return packets.Unsubscribe(packet_id, tuple(filters), properties)


def _unsuback(body: Body) -> Packet:
    packet_id = body.packet_id()
    if not body.is_v5:
        return packets.UnsubAck(packet_id)
    properties = _properties(body)
    codes: list[ReasonCode] = []
    while body.rest or not codes:
        codes.append(body.reason_code())
    return packets.UnsubAck(packet_id, tuple(codes), properties)


def _acknowledgement(kind: type[Acknowledgement]) -> Callable[[Body], Packet]:
    """A body that ends early stands for success, and for no properties (3.4.2.1, 3.4.2.2.1)."""

    def decode(body: Body) -> Packet:
        packet_id = body.packet_id()
        if not body.is_v5 or not body.rest:
            return kind(packet_id)
        code = body.reason_code()
        return kind(packet_id, code, _properties(body) if body.rest else NO_PROPERTIES)

    return decode


def _reason(kind: type[packets.Disconnect | packets.Auth]) -> Callable[[Body], Packet]:
    """As with acknowledgements (3.14.2.1, 3.15.2.1)."""

    def decode(body: Body) -> Packet:
        if not body.is_v5 or not body.rest:
            return kind()
        code = body.reason_code()
        return kind(code, _properties(body) if body.rest else NO_PROPERTIES)

    return decode


def _empty(packet: Packet) -> Callable[[Body], Packet]:
    return lambda _body: packet


class _Kind(NamedTuple):
    name: str
    flags: int
    section: str
    decode: Callable[[Body], Packet]


_AUTH = 15
_KINDS = {
    1: _Kind("CONNECT", 0, "3.1", _connect),
    2: _Kind("CONNACK", 0, "3.2", _connack),
    4: _Kind("PUBACK", 0, "3.4", _acknowledgement(packets.PubAck)),
    5: _Kind("PUBREC", 0, "3.5", _acknowledgement(packets.PubRec)),
    6: _Kind("PUBREL", 2, "3.6", _acknowledgement(packets.PubRel)),
    7: _Kind("PUBCOMP", 0, "3.7", _acknowledgement(packets.PubComp)),
    8: _Kind("SUBSCRIBE", 2, "3.8", _subscribe),
    9: _Kind("SUBACK", 0, "3.9", _suback),
    10: _Kind("UNSUBSCRIBE", 2, "3.10", _unsubscribe),
    11: _Kind("UNSUBACK", 0, "3.11", _unsuback),
    12: _Kind("PINGREQ", 0, "3.12", _empty(packets.PingReq())),
    13: _Kind("PINGRESP", 0, "3.13", _empty(packets.PingResp())),
    14: _Kind("DISCONNECT", 0, "3.14", _reason(packets.Disconnect)),
    _AUTH: _Kind("AUTH", 0, "3.15", _reason(packets.Auth)),
}
"""By packet type (2.1.2); the first byte's low four bits must be ``flags``. PUBLISH is decoded in `decoding`."""
