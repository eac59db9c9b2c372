"""Bytes to packets of 3.1.1 or 5, incrementally and without I/O.

PUBLISH is what nearly all packets are, so its decoding stands inline in the loop; the text of its topic and its
properties are looked up by their bytes, because a client has few topics, and the same properties again and again.
Everything else goes through a table of one function per packet type (`bodies`).
"""

from __future__ import annotations

from iot_system.adapters.mqtt.bodies import decode_body
from iot_system.adapters.mqtt.fields import Body, decode_text
from iot_system.adapters.mqtt.limits import HEADERS_BYTES
from iot_system.adapters.mqtt.malformed import MalformedPacket, PacketTooLarge, ProtocolError
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, Packet, Publish
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, Properties, decode_properties
from iot_system.adapters.mqtt.topics import check_topic

_CONNECT = 1
_PUBLISH = 3
_MQTT_5_HEAD = b"\x00\x04MQTT\x05"
_KEPT = 16
_KEPT_BYTES = 256
"""How many topics and sets of properties are kept by their bytes, and the longest that is."""
_REMAINING_LENGTH = "2.1.4"


class Decoder:
    """Cuts a stream of bytes into packets.

    ``payload_limit`` bounds the payload of PUBLISH and the remaining length of every other packet, in bytes (MQTT 5's
    may have `HEADERS_BYTES` more); ``first_limit`` holds in its place until CONNECT (or CONNACK, at the client's side)
    was there. A packet over the limit is refused as soon as its header is there. ``level`` is the protocol level, which
    a CONNECT sets.
    """

    def __init__(self, payload_limit: int, first_limit: int, level: int = MQTT_3_1_1) -> None:
        self.level = level
        self._payload_limit = payload_limit
        self._limit = first_limit
        self._is_first = True
        self._partial = bytearray()
        self._needed = 0
        self._topics: dict[bytes, str] = {}
        self._properties: dict[bytes, Properties] = {}

    @property
    def is_inside_packet(self) -> bool:
        """Whether a packet has begun that is not complete."""
        return bool(self._partial)

    def feed(self, data: bytes, into: list[Packet]) -> None:
        """Append every packet that ``data`` completes to ``into``.

        Raises `MalformedPacket` where something else than a packet follows; what came before it is in ``into`` then,
        and the decoder is of no further use.
        """
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data = bytes(self._partial)
            self._partial.clear()
        size = len(data)
        limit = self._limit
        is_v5 = self.level == MQTT_5
        topics = self._topics
        append = into.append
        at = 0
        while at + 1 < size:
            first = data[at]
            length = data[at + 1]
            body = at + 2
            if length > 0x7F:
                length, body = _long_length(data, body, length, is_v5)
                if length < 0:
                    break
            end = body + length
            if length > limit and not self._is_within_limit(data, first, body, length):
                break
            if end > size:
                break
            if first >> 4 == _PUBLISH:
                name_end = body + 2 + (data[body] << 8) + data[body + 1] if length > 1 else end + 1
                if name_end > end:
                    raise MalformedPacket("the topic of PUBLISH is longer than its packet", "3.3.2.1")
                name = data[body + 2 : name_end]
                try:
                    topic = topics[name]
                except KeyError:
                    topic = self._new_topic(name)
                qos = first >> 1 & 3
                if qos:
                    payload = name_end + 2
                    if payload > end:
                        raise MalformedPacket("PUBLISH ends before its packet identifier", "3.3.2.2")
                    packet_id = data[name_end] << 8 | data[name_end + 1]
                    if not packet_id or qos == 3:
                        _refuse_publish(qos)
                else:
                    payload, packet_id = name_end, 0
                    if first & 0x08:
                        raise MalformedPacket("PUBLISH with QoS 0 has the DUP flag", "3.3.1.1")
                if is_v5:
                    properties = NO_PROPERTIES
                    if payload < end and not data[payload]:
                        payload += 1
                    else:
                        properties, payload = self._read_properties(data, payload, end)
                    if length > limit and end - payload > self._payload_limit:
                        raise _payload_too_large(end - payload, self._payload_limit)
                    if not topic and properties.topic_alias is None:
                        raise ProtocolError("PUBLISH has neither a topic nor a topic alias", "3.3.2.1")
                    if properties is not NO_PROPERTIES:
                        flags = (first & 8 != 0, first & 1 != 0)
                        append(Publish(topic, data[payload:end], qos, packet_id, *flags, properties))
                        at = end
                        continue
                if first & 0x09:
                    append(Publish(topic, data[payload:end], qos, packet_id, first & 8 != 0, first & 1 != 0))
                else:
                    append(Publish(topic, data[payload:end], qos, packet_id))
            else:
                if self._is_first:
                    if first >> 4 == _CONNECT:
                        self.level = MQTT_5 if data.startswith(_MQTT_5_HEAD, body) else MQTT_3_1_1
                        is_v5 = self.level == MQTT_5
                    self._is_first = False
                append(decode_body(first, data[body:end], self.level))
                limit = self._limit = self._payload_limit
            at = end
        if at < size:
            self._partial += data[at:]
            self._needed = _needed(self._partial, is_v5)

    def _new_topic(self, name: bytes) -> str:
        topic = decode_text(name, "the topic of PUBLISH")
        if topic or self.level != MQTT_5:
            check_topic(topic)
        if len(name) <= _KEPT_BYTES:
            _make_room(self._topics)
            self._topics[name] = topic
        return topic

    def _read_properties(self, data: bytes, at: int, end: int) -> tuple[Properties, int]:
        """The properties of a PUBLISH that begin at ``at``, and where its payload does."""
        if at < end and (payload := at + 1 + data[at]) <= end and data[at] < 0x80:
            whole = data[at:payload]
            properties = self._properties.get(whole)
            if properties is None:
                properties = decode_properties(Body("PUBLISH", whole, True), "PUBLISH")
                _make_room(self._properties)
                self._properties[whole] = properties
            return properties, payload
        body = Body("PUBLISH", data[at:end], True)
        return decode_properties(body, "PUBLISH"), end - body.rest

    def _is_within_limit(self, data: bytes, first: int, body: int, length: int) -> bool:
        """False where too little is there to know. Raises `PacketTooLarge`."""
        limit = self._limit
        if self.level == MQTT_5:
            if length > limit + HEADERS_BYTES:
                raise PacketTooLarge(f"a packet has {length} bytes; the limit is {limit + HEADERS_BYTES}", "3.1.2.11.4")
            return True
        if first >> 4 != _PUBLISH:
            raise PacketTooLarge(f"a packet has {length} bytes; the limit is {limit}", _REMAINING_LENGTH)
        if len(data) < body + 2:
            return False
        payload = length - 2 - (data[body] << 8 | data[body + 1]) - (2 if first & 6 else 0)
        if payload > limit:
            raise _payload_too_large(payload, limit)
        return True


def _make_room(kept: dict[bytes, str] | dict[bytes, Properties]) -> None:
    if len(kept) >= _KEPT:
        kept.clear()


def _payload_too_large(size: int, limit: int) -> PacketTooLarge:
    return PacketTooLarge(f"the payload has {size} bytes; the limit is {limit}", "3.3.3")


def _long_length(data: bytes, at: int, first: int, is_v5: bool) -> tuple[int, int]:
    """The remaining length and where the body starts; -1 where a byte is missing.

    Only MQTT 5 says that it takes as few bytes as possible [MQTT-1.5.5-1].
    """
    length, shift = first & 0x7F, 7
    while at < len(data):
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and is_v5:
                raise MalformedPacket("the remaining length takes more bytes than it needs", "1.5.5")
            return length, at
        shift += 7
        if shift > 21:
            raise MalformedPacket("the remaining length takes more than four bytes", _REMAINING_LENGTH)
    return -1, at


def _needed(partial: bytearray, is_v5: bool) -> int:
    """How many bytes there must be before another look at an incomplete packet is worth while."""
    if len(partial) < 2:
        return 2
    length, body = partial[1], 2
    if length > 0x7F:
        length, body = _long_length(bytes(partial[:5]), 2, length, is_v5)
    if length < 0:
        return len(partial) + 1
    # Two bytes of a large PUBLISH tell its topic's length, hence its payload's: see _is_within_limit.
    return body + 2 if len(partial) < body + 2 <= body + length else body + length


def _refuse_publish(qos: int) -> None:
    if qos == 3:
        raise MalformedPacket("PUBLISH has QoS 3", "3.3.1.2")
    raise MalformedPacket("PUBLISH has the packet identifier 0", "2.2.1")
