"""Packets to bytes (3.1.1)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from struct import pack
from sys import byteorder

from iot_system.adapters.mqtt.packets import (
    PROTOCOL_NAME,
    ConnAck,
    Connect,
    Disconnect,
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

_LENGTH_LIMIT = 268_435_455
"""The largest remaining length that four bytes can tell (2.2.3)."""


def encode(packet: Packet) -> bytes:
    """One packet as the standard has it. Raises `ValueError` for what its fields cannot hold."""
    match packet:
        case Publish(topic, payload, qos, packet_id, dup, retain):
            id_ = pack(">H", packet_id) if qos else b""
            return _packet(0x30 | dup << 3 | qos << 1 | retain, _text(topic), id_, payload)
        case PubAck(packet_id):
            return pack(">BBH", 0x40, 2, packet_id)
        case PubRec(packet_id):
            return pack(">BBH", 0x50, 2, packet_id)
        case PubRel(packet_id):
            return pack(">BBH", 0x62, 2, packet_id)
        case PubComp(packet_id):
            return pack(">BBH", 0x70, 2, packet_id)
        case UnsubAck(packet_id):
            return pack(">BBH", 0xB0, 2, packet_id)
        case ConnAck(code, session_present):
            return pack(">BBBB", 0x20, 2, session_present, code)
        case Subscribe(packet_id, filters):
            asked = (_text(filter_) + bytes((qos,)) for filter_, qos in filters)
            return _packet(0x82, pack(">H", packet_id), *asked)
        case SubAck(packet_id, codes):
            return _packet(0x90, pack(">H", packet_id), bytes(codes))
        case Unsubscribe(packet_id, names):
            return _packet(0xA2, pack(">H", packet_id), *map(_text, names))
        case Connect():
            return _connect(packet)
        case PingReq():
            return b"\xc0\x00"
        case PingResp():
            return b"\xd0\x00"
        case Disconnect():
            return b"\xe0\x00"


def encode_pubacks(packet_ids: Sequence[int]) -> bytes:
    """The PUBACKs of many packets at once, in their order."""
    ids = array("H", packet_ids)
    if byteorder == "little":
        ids.byteswap()
    raw = ids.tobytes()
    data = bytearray(b"\x40\x02\x00\x00" * len(packet_ids))
    data[2::4] = raw[0::2]
    data[3::4] = raw[1::2]
    return bytes(data)


def _connect(packet: Connect) -> bytes:
    flags = packet.clean_session << 1
    payload = [_text(packet.client_id)]
    if will := packet.will:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        payload += [_text(will.topic), _binary(will.payload)]
    if packet.username is not None:
        flags |= 0x80
        payload.append(_text(packet.username))
    if packet.password is not None:
        flags |= 0x40
        payload.append(_binary(packet.password))
    head = pack(">BBH", packet.protocol_level, flags, packet.keep_alive_s)
    return _packet(0x10, _text(PROTOCOL_NAME), head, *payload)


def _packet(first: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    length = len(body)
    if length > _LENGTH_LIMIT:
        raise ValueError(f"a packet has {length} bytes; the limit is {_LENGTH_LIMIT}")
    header = bytearray((first,))
    while length > 0x7F:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return bytes(header) + body


def _text(text: str) -> bytes:
    return _binary(text.encode())


def _binary(data: bytes) -> bytes:
    if len(data) > 0xFFFF:
        raise ValueError(f"a field has {len(data)} bytes; the limit is {0xFFFF}")
    return pack(">H", len(data)) + data
