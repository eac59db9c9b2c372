"""The MQTT codec: what one side encodes the other decodes, however the bytes are cut, and nothing else."""

from __future__ import annotations

import contextlib
import re
import time
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.adapters.mqtt.decoding import Decoder
from iot_system.adapters.mqtt.encoding import encode, encode_pubacks
from iot_system.adapters.mqtt.limits import HEADERS_BYTES
from iot_system.adapters.mqtt.malformed import MalformedPacket, PacketTooLarge
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, ConnAck, Connect, Packet, PingReq, PubAck, Publish
from iot_system.adapters.mqtt.properties import PROPERTIES_LIMIT, Properties

from tests.unit.mqtt.strategies import connects, levels, packets_of, publishes, streams

LIMIT = 1 << 20


def decoded(
    *chunks: bytes, payload_limit: int = LIMIT, first_limit: int = LIMIT, level: int = MQTT_3_1_1
) -> list[Packet]:
    decoder, packets = Decoder(payload_limit, first_limit, level), list[Packet]()
    for chunk in chunks:
        decoder.feed(chunk, packets)
    return packets


@given(streams())
def test_every_packet_comes_back_as_it_was(stream: tuple[int, list[Packet]]) -> None:
    level, packets = stream
    assert decoded(b"".join(encode(packet, level) for packet in packets), level=level) == packets


@given(streams(), st.data())
def test_it_does_not_matter_where_the_bytes_are_cut(stream: tuple[int, list[Packet]], data: st.DataObject) -> None:
    level, packets = stream
    whole = b"".join(encode(packet, level) for packet in packets)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=10)))
    chunks = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert decoded(*chunks, level=level) == packets
    assert decoded(*[whole[at : at + 1] for at in range(len(whole))], level=level) == packets


@given(connects(MQTT_5), st.lists(packets_of(MQTT_5), max_size=3))
def test_connect_tells_the_version_of_what_follows(connect: Connect, rest: list[Packet]) -> None:
    stream = b"".join(encode(packet, MQTT_5) for packet in (connect, *rest))
    assert decoded(stream) == [connect, *rest]


@given(streams())
def test_every_truncation_waits_for_the_rest_or_refuses(stream: tuple[int, list[Packet]]) -> None:
    level, (packet, *_) = stream
    whole = encode(packet, level)
    for length in range(len(whole)):
        decoder, packets = Decoder(LIMIT, LIMIT, level), list[Packet]()
        decoder.feed(whole[:length], packets)
        assert packets == []
        assert decoder.is_inside_packet is (length > 0)
        decoder.feed(whole[length:], packets)
        assert packets == [packet]
        assert not decoder.is_inside_packet


@given(streams(), st.data())
def test_a_packet_whose_length_is_too_short_is_refused_or_another_packet_never_a_crash(
    stream: tuple[int, list[Packet]], data: st.DataObject
) -> None:
    """The remaining length says less than the fields need: the fields must not reach beyond it."""
    level, (packet, *_) = stream
    whole = bytearray(encode(packet, level))
    if whole[1] in (0, *range(0x80, 0x100)):
        return
    whole[1] = data.draw(st.integers(0, whole[1] - 1))
    with contextlib.suppress(MalformedPacket):
        assert decoded(bytes(whole[: whole[1] + 2]), level=level) != [packet]


@given(st.binary(max_size=200), levels)
def test_any_bytes_are_packets_or_refused(data: bytes, level: int) -> None:
    with contextlib.suppress(MalformedPacket):
        assert len(decoded(data, payload_limit=1000, first_limit=100, level=level)) <= len(data) // 2


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x00\x00", "packet type 0 is reserved"),
        (b"\xf0\x00", "packet type 15 is reserved"),
        (b"\xc1\x00", "PINGREQ has the flags 0001, not 0000"),
        (b"\xc0\x01x", "PINGREQ has 1 bytes too many"),
        (b"\x30\x80\x80\x80\x80\x01", "the remaining length takes more than four bytes"),
        (b"\x30\x02\x00\x00", "a topic name is empty"),
        (b"\x30\x03\x00\x05a", "the topic of PUBLISH is longer than its packet"),
        (b"\x30\x01\x00", "the topic of PUBLISH is longer than its packet"),
        (b"\x30\x05\x00\x03a/#", "has a wildcard"),
        (b"\x30\x04\x00\x02\xc3\x28", "not valid UTF-8"),
        (b"\x30\x05\x00\x03\xed\xa0\x80", "not valid UTF-8"),
        (b"\x30\x03\x00\x01\x00", "has the character U+0000"),
        (b"\x32\x03\x00\x01a", "PUBLISH ends before its packet identifier"),
        (b"\x32\x05\x00\x01a\x00\x00", "PUBLISH has the packet identifier 0"),
        (b"\x36\x05\x00\x01a\x00\x01", "PUBLISH has QoS 3"),
        (b"\x38\x03\x00\x01a", "PUBLISH with QoS 0 has the DUP flag"),
        (b"\x80\x06\x00\x01\x00\x01a\x00", "SUBSCRIBE has the flags 0000, not 0010"),
        (b"\x82\x02\x00\x01", "SUBSCRIBE ends within its topic filter"),
        (b"\x82\x06\x00\x01\x00\x01a\x03", "SUBSCRIBE has the QoS byte 3"),
        (b"\x82\x08\x00\x01\x00\x03a#b\x00", "has '#' before its end"),
        (b"\xa2\x02\x00\x01", "UNSUBSCRIBE ends within its topic filter"),
        (b"\x40\x02\x00\x00", "PUBACK has the packet identifier 0"),
        (b"\x10\x0c\x00\x04MQTT\x04\x01\x00\x00\x00\x00", "the reserved flag of CONNECT is set"),
        (b"\x10\x0c\x00\x04MQTT\x04\x40\x00\x00\x00\x00", "a password, but no user name"),
        (b"\x10\x0c\x00\x04MQTT\x04\x08\x00\x00\x00\x00", "a will QoS or will retain without a will"),
        (b"\x10\x0c\x00\x04MQTT\x04\x1c\x00\x00\x00\x00", "the will QoS 3"),
        (b"\x10\x0c\x00\x04HTTP\x04\x02\x00\x00\x00\x00", "the protocol name is 'HTTP'"),
        (b"GET / HTTP/1.1\r\n\r\n", "MQTT"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "MQTT"),
    ],
)
def test_each_break_of_the_protocol_is_told_with_its_rule(data: bytes, problem: str) -> None:
    with pytest.raises(MalformedPacket, match=re.escape(problem)) as refusal:
        decoded(data + b"\x00" * 600)
    assert f"(MQTT {refusal.value.section})" in str(refusal.value)


@pytest.mark.parametrize(
    ("data", "code", "problem"),
    [
        (b"\x30\x81\x00", 0x81, "the remaining length takes more bytes than it needs"),
        (b"\x30\x05\x00\x01a\x80\x00", 0x81, "the property length of PUBLISH takes more bytes than it needs"),
        (b"\x30\x08\x00\x01a\x80\x80\x80\x80\x01", 0x81, "the property length of PUBLISH takes more than four bytes"),
        (b"\x30\x03\x00\x01a", 0x81, "PUBLISH ends within its property length"),
        (b"\x30\x05\x00\x01a\x03\x01", 0x81, "PUBLISH ends within its properties"),
        (b"\x30\x05\x00\x01a\x01\x01", 0x81, "PUBLISH ends within its payload_format_indicator"),
        (b"\x30\x06\x00\x01a\x02\x01\x02", 0x82, "payload_format_indicator is 2"),
        (b"\x30\x08\x00\x01a\x04\x01\x00\x01\x00", 0x82, "PUBLISH has the property payload_format_indicator twice"),
        (b"\x30\x06\x00\x01a\x02\x7f\x00", 0x82, "PUBLISH has the unknown property 0x7F"),
        (b"\x30\x07\x00\x01a\x03\x21\x00\x01", 0x82, "receive_maximum is no property of PUBLISH"),
        (b"\x30\x03\x00\x00\x00", 0x82, "PUBLISH has neither a topic nor a topic alias"),
        (b"\x30\x07\x00\x01a\x03\x23\x00\x00", 0x94, "the topic alias is 0"),
        (b"\x30\x06\x00\x01a\x02\x0b\x00", 0x82, "subscription_identifier is 0"),
        (b"\x30\x08\x00\x01a\x04\x08\x00\x01#", 0x82, "the response topic '#' is empty or has a wildcard"),
        (b"\x30\x09\x00\x01a\x05\x03\x00\x02\xc3\x28", 0x81, "content_type of PUBLISH is not valid UTF-8"),
        (b"\x82\x0b\x00\x01\x04\x0b\x01\x0b\x02\x00\x01a\x00", 0x82, "the property subscription_identifier twice"),
        (b"\x82\x07\x00\x01\x00\x00\x01a\x40", 0x81, "reserved subscription options"),
        (b"\x82\x07\x00\x01\x00\x00\x01a\x03", 0x82, "the QoS 3"),
        (b"\x82\x07\x00\x01\x00\x00\x01a\x30", 0x82, "the retain handling 3"),
        (b"\x82\x10\x00\x01\x00\x00\x0a$share/a/b\x04", 0x82, "a shared subscription has the option No Local"),
        (b"\x40\x03\x00\x01\x92", 0x81, "PUBACK has the reason code 0x92"),
        (b"\x62\x03\x00\x01\x10", 0x81, "PUBREL has the reason code 0x10"),
        (b"\xe0\x01\x01", 0x81, "DISCONNECT has the reason code 0x01"),
        (b"\xf1\x00", 0x81, "AUTH has the flags 0001"),
        (b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x05", 0x81, "CONNECT ends within its client identifier"),
        (b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x03\x21\x00\x00\x00\x00", 0x82, "receive_maximum is 0"),
        (b"\x10\x12\x00\x04MQTT\x05\x02\x00\x00\x05\x27\x00\x00\x00\x00\x00\x00", 0x82, "maximum_packet_size is 0"),
        (b"\x10\x11\x00\x04MQTT\x05\x02\x00\x00\x04\x16\x00\x01x\x00\x00", 0x82, "authentication data, but no method"),
    ],
)  # fmt: skip
def test_each_break_of_mqtt_5_is_told_with_its_rule_and_reason_code(data: bytes, code: int, problem: str) -> None:
    with pytest.raises(MalformedPacket, match=re.escape(problem)) as refusal:
        decoded(data, level=MQTT_5)
    assert refusal.value.code == code


def test_3_1_1_has_no_auth() -> None:
    with pytest.raises(MalformedPacket, match="packet type 15 is reserved"):
        decoded(b"\xf0\x00")


def test_properties_are_bounded_for_they_take_many_times_their_size() -> None:
    many = Properties(user_property=(("", ""),) * (PROPERTIES_LIMIT // 5 + 1))
    with pytest.raises(PacketTooLarge, match="the properties of PUBLISH"):
        decoded(encode(Publish("a", b"", properties=many), MQTT_5), level=MQTT_5)


def test_a_topic_alias_takes_the_place_of_the_topic() -> None:
    publish = Publish("", b"x", 1, 1, properties=Properties(topic_alias=7))
    assert decoded(encode(publish, MQTT_5) * 2, level=MQTT_5) == [publish] * 2


@given(st.integers(1, 400), st.integers(0, 100))
def test_the_payload_s_limit_holds_to_the_byte_in_mqtt_5_whatever_else_a_packet_bears(size: int, limit: int) -> None:
    publish = Publish("a" * 300, b"x" * size, properties=Properties(content_type="y" * 200))
    stream = encode(ConnAck(0), MQTT_5) + encode(publish, MQTT_5)
    if size <= limit:
        assert decoded(stream, payload_limit=limit, level=MQTT_5)[1:] == [publish]
        return
    with pytest.raises(PacketTooLarge, match=f"the payload has {size} bytes; the limit is {limit}"):
        decoded(stream, payload_limit=limit, level=MQTT_5)


def test_a_packet_of_mqtt_5_too_large_is_refused_by_its_header() -> None:
    header = encode(Publish("a/b", b"x" * 200_000, 1, 1), MQTT_5)[:5]
    with pytest.raises(PacketTooLarge, match=f"the limit is {100_000 + HEADERS_BYTES}"):
        decoded(encode(ConnAck(0), MQTT_5), header, payload_limit=100_000, level=MQTT_5)


def test_what_came_before_a_break_is_kept() -> None:
    packets: list[Packet] = []
    with pytest.raises(MalformedPacket):
        Decoder(LIMIT, LIMIT).feed(encode(PingReq()) + encode(PubAck(1)) + b"\x00\x00", packets)
    assert packets == [PingReq(), PubAck(1)]


@given(publishes(), st.integers(0, 400))
def test_the_payload_s_limit_holds_to_the_byte(publish: Publish, limit: int) -> None:
    data = encode(publish)
    if len(publish.payload) <= limit:
        assert decoded(encode(ConnAck(0)), data, payload_limit=limit) == [ConnAck(0), publish]
        return
    with pytest.raises(PacketTooLarge, match=f"the payload has {len(publish.payload)} bytes; the limit is {limit}"):
        decoded(encode(ConnAck(0)), data, payload_limit=limit)


def test_a_packet_too_large_is_refused_by_its_header_and_never_buffered() -> None:
    header = encode(Publish("a/b", b"x" * 200_000, 1, 1))[:12]
    with pytest.raises(PacketTooLarge):
        decoded(encode(ConnAck(0)), header, payload_limit=100_000)


def test_before_connect_only_little_is_taken() -> None:
    large = encode(Connect("x" * 2000))
    assert len(decoded(large)) == 1
    with pytest.raises(PacketTooLarge, match="the limit is 1000"):
        decoded(large[:5], first_limit=1000)
    with pytest.raises(PacketTooLarge):
        decoded(encode(Publish("a", b"x" * 2000)), first_limit=1000)


def test_an_older_or_newer_protocol_is_told_by_its_level() -> None:
    for head, level in ((b"\x00\x06MQIsdp\x03", 3), (b"\x00\x04MQTT\x06", 6)):
        body = head + b"\x02\x00\x3c\x00\x00\x00"
        assert decoded(bytes([0x10, len(body)]) + body) == [Connect("", level)]


def test_a_large_packet_in_small_pieces_costs_no_more_than_its_size() -> None:
    """Looking at what is there again and again would take time that grows with its square."""
    whole = encode(Publish("a/b", b"x" * 2_000_000, 1, 1))
    pieces = [whole[at : at + 100] for at in range(0, len(whole), 100)]
    started_s = time.process_time()
    assert decoded(encode(ConnAck(0)), *pieces, payload_limit=1 << 22)[1:] == [Publish("a/b", b"x" * 2_000_000, 1, 1)]
    assert time.process_time() - started_s < 5.0


def test_what_a_connection_remembers_of_its_packets_takes_little() -> None:
    packets = [
        encode(
            Publish(
                f"app/{number}/{'x' * 200}",
                b"1",
                1,
                number,
                properties=Properties(user_property=tuple((f"{key}", f"{number}") for key in range(13))),
            ),
            MQTT_5,
        )
        for number in range(1, 301)
    ]
    into: list[Packet] = []
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        decoder = Decoder(LIMIT, LIMIT, MQTT_5)
        for packet in packets:
            decoder.feed(packet, into)
            into.clear()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept < 48 * 1024


@given(st.lists(st.integers(1, 0xFFFF), max_size=50))
def test_many_acknowledgements_at_once_are_the_same_bytes(ids: Sequence[int]) -> None:
    assert encode_pubacks(ids) == b"".join(encode(PubAck(one)) for one in ids)


def test_what_a_field_cannot_hold_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="the limit is 65535"):
        encode(Publish("a" * 65_536, b""))
