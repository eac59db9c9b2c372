"""Packets to bytes, as 3.1.1 or 5 has them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from struct import pack
from sys import byteorder

from iot_system.adapters.mqtt.fields import encode_binary, encode_text, encode_variable
from iot_system.adapters.mqtt.packets import (
    MQTT_3_1_1,
    MQTT_5,
    PROTOCOL_NAME,
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    Options,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, Properties, encode_properties
from iot_system.adapters.mqtt.reasons import ReasonCode


def encode(packet: Packet, level: int = MQTT_3_1_1) -> bytes:
    """One packet for a connection of this protocol level; CONNECT has its own.

    Raises `ValueError` for what its fields cannot hold. What 3.1.1 does not have is left out there.
    """
    is_v5 = level == MQTT_5
    match packet:
        case Publish(topic, payload, qos, packet_id, dup, retain, properties):
            head = encode_text(topic) + (pack(">H", packet_id) if qos else b"")
            if is_v5:
                head += encode_properties(properties)
            return _packet(0x30 | dup << 3 | qos << 1 | retain, head, payload)
        case PubAck(packet_id, code, properties):
            return _acknowledgement(0x40, packet_id, code, properties, is_v5)
        case PubRec(packet_id, code, properties):
            return _acknowledgement(0x50, packet_id, code, properties, is_v5)
        case PubRel(packet_id, code, properties):
            return _acknowledgement(0x62, packet_id, code, properties, is_v5)
        case PubComp(packet_id, code, properties):
            return _acknowledgement(0x70, packet_id, code, properties, is_v5)
        case ConnAck(reason_code, session_present, properties):
            return _packet(0x20, bytes((session_present, reason_code)), _properties(properties, is_v5))
        case Subscribe(packet_id, filters, properties):
            asked = (encode_text(filter_) + _options(options, is_v5) for filter_, options in filters)
            return _packet(0x82, pack(">H", packet_id), _properties(properties, is_v5), *asked)
        case SubAck(packet_id, codes, properties):
            return _packet(0x90, pack(">H", packet_id), _properties(properties, is_v5), bytes(codes))
        case Unsubscribe(packet_id, names, properties):
            return _packet(0xA2, pack(">H", packet_id), _properties(properties, is_v5), *map(encode_text, names))
        case UnsubAck(packet_id, codes, properties):
            return _packet(0xB0, pack(">H", packet_id), _properties(properties, is_v5), bytes(codes) if is_v5 else b"")
        case Connect():
            return _connect(packet)
        case PingReq():
            return b"\xc0\x00"
        case PingResp():
            return b"\xd0\x00"
        case Disconnect(code, properties):
            return _packet(0xE0, _reason(code, properties) if is_v5 else b"")
        case Auth(code, properties):
            return _packet(0xF0, _reason(code, properties))


def encode_pubacks(packet_ids: Sequence[int]) -> bytes:
    """The PUBACKs of many packets at once, in their order: success is the same bytes in both versions (3.4.2.1)."""
    ids = array("H", packet_ids)
    if byteorder == "little":
        ids.byteswap()
    raw = ids.tobytes()
    data = bytearray(b"\x40\x02\x00\x00" * len(packet_ids))
    data[2::4] = raw[0::2]
    data[3::4] = raw[1::2]
    return bytes(data)


def _acknowledgement(first: int, packet_id: int, code: ReasonCode, properties: Properties, is_v5: bool) -> bytes:
    return _packet(first, pack(">H", packet_id), _reason(code, properties) if is_v5 else b"")


def _reason(code: ReasonCode, properties: Properties) -> bytes:
    """What stands for its default at the end of a packet is left out."""
    if properties != NO_PROPERTIES:
        return bytes((code,)) + encode_properties(properties)
    return bytes((code,)) if code else b""


def _options(options: Options, is_v5: bool) -> bytes:
    if not is_v5:
        return bytes((options.qos,))
    rest = options.no_local << 2 | options.retain_as_published << 3 | options.retain_handling << 4
    return bytes((options.qos | rest,))


def _connect(packet: Connect) -> bytes:
    is_v5 = packet.protocol_level == MQTT_5
    flags = packet.clean_start << 1
    payload = [_properties(packet.properties, is_v5), encode_text(packet.client_id)]
    if will := packet.will:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        payload += [_properties(will.properties, is_v5), encode_text(will.topic), encode_binary(will.payload)]
    if packet.username is not None:
        flags |= 0x80
        payload.append(encode_text(packet.username))
    if packet.password is not None:
        flags |= 0x40
        payload.append(encode_binary(packet.password))
    head = pack(">BBH", packet.protocol_level, flags, packet.keep_alive_s)
    return _packet(0x10, encode_text(PROTOCOL_NAME), head, *payload)


def _properties(properties: Properties, is_v5: bool) -> bytes:
    return encode_properties(properties) if is_v5 else b""


def _packet(first: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes((first,)) + encode_variable(len(body)) + body
