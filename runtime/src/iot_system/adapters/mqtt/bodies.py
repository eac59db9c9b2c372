"""What follows the fixed header: one function per packet type of MQTT 3.1.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from iot_system.adapters.mqtt import packets
from iot_system.adapters.mqtt.packets import PROTOCOL_LEVEL, PROTOCOL_NAME, Connect, MalformedPacket, Packet, Will
from iot_system.adapters.mqtt.topics import check_filter, check_topic


class _Body:
    """Reads the fields of one packet's body, in their order."""

    def __init__(self, name: str, data: bytes) -> None:
        self._name = name
        self._data = data
        self._at = 0

    @property
    def rest(self) -> int:
        return len(self._data) - self._at

    def byte(self, what: str, section: str) -> int:
        return self._take(1, what, section)[0]

    def number(self, what: str, section: str) -> int:
        data = self._take(2, what, section)
        return data[0] << 8 | data[1]

    def binary(self, what: str, section: str) -> bytes:
        return self._take(self.number(what, section), what, section)

    def text(self, what: str, section: str) -> str:
        return decode_text(self.binary(what, section), f"{what} of {self._name}")

    def packet_id(self) -> int:
        if packet_id := self.number("packet identifier", "2.3.1"):
            return packet_id
        raise MalformedPacket(f"{self._name} has the packet identifier 0", "2.3.1")

    def skip(self) -> None:
        self._at = len(self._data)

    def end(self, section: str) -> None:
        if self.rest:
            raise MalformedPacket(f"{self._name} has {self.rest} bytes too many", section)

    def _take(self, count: int, what: str, section: str) -> bytes:
        if self.rest < count:
            raise MalformedPacket(f"{self._name} ends within its {what}", section)
        self._at += count
        return self._data[self._at - count : self._at]


def decode_text(data: bytes, what: str) -> str:
    """UTF-8 as the standard allows it (1.5.3)."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise MalformedPacket(f"{what} is not valid UTF-8", "1.5.3") from None
    if "\0" in text:
        raise MalformedPacket(f"{what} has the character U+0000", "1.5.3")
    return text


def decode_body(first: int, data: bytes) -> Packet:
    """Decode the packet with the first byte ``first`` and the body ``data``; any but PUBLISH."""
    kind = _KINDS.get(first >> 4)
    if kind is None:
        raise MalformedPacket(f"packet type {first >> 4} is reserved", "2.2.1")
    if first & 0x0F != kind.flags:
        raise MalformedPacket(f"{kind.name} has the flags {first & 0x0F:04b}, not {kind.flags:04b}", "2.2.2")
    body = _Body(kind.name, data)
    packet = kind.decode(body)
    body.end(kind.section)
    return packet


def _connect(body: _Body) -> Packet:
    name = body.text("protocol name", "3.1.2.1")
    if name not in (PROTOCOL_NAME, "MQIsdp"):
        raise MalformedPacket(f"the protocol name is {name[:16]!r}, not {PROTOCOL_NAME!r}", "3.1.2.1")
    level = body.byte("protocol level", "3.1.2.2")
    if name != PROTOCOL_NAME or level != PROTOCOL_LEVEL:
        body.skip()
        return Connect("", level)
    flags = body.byte("connect flags", "3.1.2.3")
    if flags & 0x01:
        raise MalformedPacket("the reserved flag of CONNECT is set", "3.1.2.3")
    keep_alive_s = body.number("keep-alive", "3.1.2.10")
    client_id = body.text("client identifier", "3.1.3.1")
    will = _will(body, flags)
    username = body.text("user name", "3.1.3.4") if flags & 0x80 else None
    if flags & 0x40 and username is None:
        raise MalformedPacket("CONNECT has a password, but no user name", "3.1.2.9")
    password = body.binary("password", "3.1.3.5") if flags & 0x40 else None
    return Connect(client_id, level, bool(flags & 0x02), keep_alive_s, username, password, will)


def _will(body: _Body, flags: int) -> Will | None:
    qos, retain = flags >> 3 & 3, bool(flags & 0x20)
    if not flags & 0x04:
        if qos or retain:
            raise MalformedPacket("CONNECT has a will QoS or will retain without a will", "3.1.2.6")
        return None
    if qos == 3:
        raise MalformedPacket("CONNECT has the will QoS 3", "3.1.2.6")
    topic = check_topic(body.text("will topic", "3.1.3.2"))
    return Will(topic, body.binary("will message", "3.1.3.3"), qos, retain)


def _connack(body: _Body) -> Packet:
    flags = body.byte("flags", "3.2.2.1")
    if flags > 1:
        raise MalformedPacket("CONNACK has reserved flags", "3.2.2.1")
    return packets.ConnAck(body.byte("return code", "3.2.2.3"), bool(flags))


def _subscribe(body: _Body) -> Packet:
    packet_id = body.packet_id()
    filters: list[tuple[str, int]] = []
    while body.rest or not filters:
        filter_ = check_filter(body.text("topic filter", "3.8.3"))
        qos = body.byte("requested QoS", "3.8.3")
        if qos > 2:
            raise MalformedPacket(f"SUBSCRIBE has the QoS byte {qos}", "3.8.3")
        filters.append((filter_, qos))
    return packets.Subscribe(packet_id, tuple(filters))


def _suback(body: _Body) -> Packet:
    packet_id = body.packet_id()
    codes: list[int] = []
    while body.rest or not codes:
        codes.append(body.byte("return code", "3.9.3"))
    return packets.SubAck(packet_id, tuple(codes))


def _unsubscribe(body: _Body) -> Packet:
    packet_id = body.packet_id()
    filters: list[str] = []
    while body.rest or not filters:
        filters.append(check_filter(body.text("topic filter", "3.10.3")))
    return packets.Unsubscribe(packet_id, tuple(filters))


def _empty(packet: Packet) -> Callable[[_Body], Packet]:
    return lambda _body: packet


def _with_packet_id(kind: Callable[[int], Packet]) -> Callable[[_Body], Packet]:
    return lambda body: kind(body.packet_id())


class _Kind(NamedTuple):
    name: str
    flags: int
    section: str
    decode: Callable[[_Body], Packet]


_KINDS = {
    1: _Kind("CONNECT", 0, "3.1", _connect),
    2: _Kind("CONNACK", 0, "3.2", _connack),
    4: _Kind("PUBACK", 0, "3.4", _with_packet_id(packets.PubAck)),
    5: _Kind("PUBREC", 0, "3.5", _with_packet_id(packets.PubRec)),
    6: _Kind("PUBREL", 2, "3.6", _with_packet_id(packets.PubRel)),
    7: _Kind("PUBCOMP", 0, "3.7", _with_packet_id(packets.PubComp)),
    8: _Kind("SUBSCRIBE", 2, "3.8", _subscribe),
    9: _Kind("SUBACK", 0, "3.9", _suback),
    10: _Kind("UNSUBSCRIBE", 2, "3.10", _unsubscribe),
    11: _Kind("UNSUBACK", 0, "3.11", _with_packet_id(packets.UnsubAck)),
    12: _Kind("PINGREQ", 0, "3.12", _empty(packets.PingReq())),
    13: _Kind("PINGRESP", 0, "3.13", _empty(packets.PingResp())),
    14: _Kind("DISCONNECT", 0, "3.14", _empty(packets.Disconnect())),
}
"""By packet type (2.2.1); the first byte's low four bits must be ``flags``. PUBLISH is decoded in `decoding`."""
