"""Bytes to packets, incrementally and without I/O.

PUBLISH is what nearly all packets are, so its decoding stands inline in the loop, and the text of its topic is looked
up by its bytes: a client has few topics. Everything else goes through a table of one function per packet type
(`bodies`), which is where another protocol version has its differences.
"""

from __future__ import annotations

from iot_system.adapters.mqtt.bodies import decode_body, decode_text
from iot_system.adapters.mqtt.packets import MalformedPacket, Packet, PacketTooLarge, Publish
from iot_system.adapters.mqtt.topics import check_topic

_PUBLISH = 3
_TOPICS_LIMIT = 256
_REMAINING_LENGTH = "2.2.3"


class Decoder:
    """Cuts a stream of bytes into packets.

    ``payload_limit`` bounds the payload of PUBLISH and the remaining length of every other packet, in bytes;
    ``first_limit`` holds in its place until CONNECT (or CONNACK, at the client's side) was there. A packet over the
    limit is refused as soon as its header is there.
    """

    def __init__(self, payload_limit: int, first_limit: int) -> None:
        self._payload_limit = payload_limit
        self._limit = first_limit
        self._partial = bytearray()
        self._needed = 0
        self._topics: dict[bytes, str] = {}

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
        topics = self._topics
        append = into.append
        at = 0
        while at + 1 < size:
            first = data[at]
            length = data[at + 1]
            body = at + 2
            if length > 0x7F:
                length, body = _long_length(data, body, length)
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
                topic = topics.get(name) or self._new_topic(name)
                qos = first >> 1 & 3
                if qos:
                    payload = name_end + 2
                    if payload > end:
                        raise MalformedPacket("PUBLISH ends before its packet identifier", "3.3.2.2")
                    packet_id = data[name_end] << 8 | data[name_end + 1]
                    if not packet_id or qos == 3:
                        _refuse_publish(qos)
                    if first & 0x09:
                        append(Publish(topic, data[payload:end], qos, packet_id, first & 8 != 0, first & 1 != 0))
                    else:
                        append(Publish(topic, data[payload:end], qos, packet_id))
                else:
                    if first & 0x08:
                        raise MalformedPacket("PUBLISH with QoS 0 has the DUP flag", "3.3.1.1")
                    append(Publish(topic, data[name_end:end], 0, 0, False, first & 1 != 0))
            else:
                append(decode_body(first, data[body:end]))
                limit = self._limit = self._payload_limit
            at = end
        if at < size:
            self._partial += data[at:]
            self._needed = _needed(self._partial)

    def _new_topic(self, name: bytes) -> str:
        topic = check_topic(decode_text(name, "the topic of PUBLISH"))
        if len(self._topics) >= _TOPICS_LIMIT:
            self._topics.clear()
        self._topics[name] = topic
        return topic

    def _is_within_limit(self, data: bytes, first: int, body: int, length: int) -> bool:
        """False where too little is there to know. Raises `PacketTooLarge`."""
        limit = self._limit
        if first >> 4 != _PUBLISH:
            raise PacketTooLarge(f"a packet has {length} bytes; the limit is {limit}", _REMAINING_LENGTH)
        if len(data) < body + 2:
            return False
        payload = length - 2 - (data[body] << 8 | data[body + 1]) - (2 if first & 6 else 0)
        if payload > limit:
            raise PacketTooLarge(f"the payload has {payload} bytes; the limit is {limit}", "3.3.3")
        return True


def _long_length(data: bytes, at: int, first: int) -> tuple[int, int]:
    """The remaining length and where the body starts; -1 where a byte is missing."""
    length, shift = first & 0x7F, 7
    while at < len(data):
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return length, at
        shift += 7
        if shift > 21:
            raise MalformedPacket("the remaining length takes more than four bytes", _REMAINING_LENGTH)
    return -1, at


def _needed(partial: bytearray) -> int:
    """How many bytes there must be before another look at an incomplete packet is worth while."""
    if len(partial) < 2:
        return 2
    length, body = partial[1], 2
    if length > 0x7F:
        length, body = _long_length(bytes(partial[:5]), 2, length)
    if length < 0:
        return len(partial) + 1
    # Two bytes of a large PUBLISH tell its topic's length, hence its payload's: see _is_within_limit.
    return body + 2 if len(partial) < body + 2 <= body + length else body + length


def _refuse_publish(qos: int) -> None:
    if qos == 3:
        raise MalformedPacket("PUBLISH has QoS 3", "3.3.1.2")
    raise MalformedPacket("PUBLISH has the packet identifier 0", "2.3.1")
