"""The MQTT codec: what one side encodes the other decodes, however the bytes are cut, and nothing else."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.adapters.mqtt.decoding import Decoder
from iot_system.adapters.mqtt.encoding import encode, encode_pubacks
from iot_system.adapters.mqtt.packets import (
    ConnAck,
    Connect,
    MalformedPacket,
    Packet,
    PacketTooLarge,
    PingReq,
    PubAck,
    Publish,
    Subscribe,
    Will,
)

from tests.unit.mqtt.strategies import any_packets, publishes

LIMIT = 1 << 20
MUTATIONS = 20_000
MUTATIONS_WITHIN_S = 30.0
"""About a second where nothing else runs."""


def decoded(*chunks: bytes, payload_limit: int = LIMIT, first_limit: int = LIMIT) -> list[Packet]:
    decoder, packets = Decoder(payload_limit, first_limit), list[Packet]()
    for chunk in chunks:
        decoder.feed(chunk, packets)
    return packets


@given(st.lists(any_packets, min_size=1, max_size=8))
def test_every_packet_comes_back_as_it_was(packets: list[Packet]) -> None:
    assert decoded(b"".join(map(encode, packets))) == packets


@given(st.lists(any_packets, min_size=1, max_size=5), st.data())
def test_it_does_not_matter_where_the_bytes_are_cut(packets: list[Packet], data: st.DataObject) -> None:
    stream = b"".join(map(encode, packets))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decoded(*chunks) == packets
    assert decoded(*[stream[at : at + 1] for at in range(len(stream))]) == packets


@given(any_packets)
def test_every_truncation_waits_for_the_rest_or_refuses(packet: Packet) -> None:
    whole = encode(packet)
    for length in range(len(whole)):
        decoder, packets = Decoder(LIMIT, LIMIT), list[Packet]()
        decoder.feed(whole[:length], packets)
        assert packets == []
        assert decoder.is_inside_packet is (length > 0)
        decoder.feed(whole[length:], packets)
        assert packets == [packet]
        assert not decoder.is_inside_packet


@given(any_packets, st.data())
def test_a_packet_whose_length_is_too_short_is_refused_or_another_packet_never_a_crash(
    packet: Packet, data: st.DataObject
) -> None:
    """The remaining length says less than the fields need: the fields must not reach beyond it."""
    whole = bytearray(encode(packet))
    if whole[1] in (0, *range(0x80, 0x100)):
        return
    whole[1] = data.draw(st.integers(0, whole[1] - 1))
    with contextlib.suppress(MalformedPacket):
        assert decoded(bytes(whole[: whole[1] + 2])) != [packet]


def test_mutated_packets_are_decoded_or_refused_in_bounded_time() -> None:
    chance = random.Random(20_141_029)
    originals: list[Packet] = [
        Connect("client", keep_alive_s=60, username="one", password=b"secret", will=Will("a/b", b"gone", 1)),
        Publish("v1/devices/me/telemetry", b'{"temperature": 21.5}' * 20, 1, 7),
        Publish("v1/devices/one/telemetry", b'{"t": 1}'),
        Subscribe(3, (("v1/devices/me/commands/+/+", 1), ("a/#", 0))),
        PubAck(9),
        ConnAck(0),
    ]
    encoded = [encode(packet) for packet in originals]
    refused = 0
    started_s = time.process_time()
    for _ in range(MUTATIONS):
        data = bytearray(b"".join(chance.sample(encoded, 3)))
        for _ in range(chance.randrange(1, 6)):
            _mutate(data, chance)
        decoder, packets = Decoder(4096, 4096), list[Packet]()
        cut = chance.randrange(len(data) + 1)
        try:
            decoder.feed(bytes(data[:cut]), packets)
            decoder.feed(bytes(data[cut:]), packets)
        except MalformedPacket:
            refused += 1
        assert len(packets) <= len(data) // 2, "a packet has two bytes at least"
    assert time.process_time() - started_s < MUTATIONS_WITHIN_S
    assert MUTATIONS // 10 < refused < MUTATIONS, "they must neither all be harmless nor all be hopeless"


def _mutate(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) or 1)
    match chance.randrange(4):
        case 0 if data:
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            data[at:at] = chance.randbytes(chance.randrange(1, 4))
        case 2:
            del data[at : at + chance.randrange(1, 4)]
        case _ if data:
            data[at] = chance.choice([0, 0x7F, 0x80, 0xFF])


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_refused(data: bytes) -> None:
    with contextlib.suppress(MalformedPacket):
        assert len(decoded(data, payload_limit=1000, first_limit=100)) <= len(data) // 2


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
    for head, level in ((b"\x00\x06MQIsdp\x03", 3), (b"\x00\x04MQTT\x05", 5)):
        body = head + b"\x02\x00\x3c\x00\x00\x00"
        assert decoded(bytes([0x10, len(body)]) + body) == [Connect("", level)]


def test_a_large_packet_in_small_pieces_costs_no_more_than_its_size() -> None:
    """Looking at what is there again and again would take time that grows with its square."""
    whole = encode(Publish("a/b", b"x" * 2_000_000, 1, 1))
    pieces = [whole[at : at + 100] for at in range(0, len(whole), 100)]
    started_s = time.process_time()
    assert decoded(encode(ConnAck(0)), *pieces, payload_limit=1 << 22)[1:] == [Publish("a/b", b"x" * 2_000_000, 1, 1)]
    assert time.process_time() - started_s < 5.0


@given(st.lists(st.integers(1, 0xFFFF), max_size=50))
def test_many_acknowledgements_at_once_are_the_same_bytes(ids: Sequence[int]) -> None:
    assert encode_pubacks(ids) == b"".join(encode(PubAck(one)) for one in ids)


def test_what_a_field_cannot_hold_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="the limit is 65535"):
        encode(Publish("a" * 65_536, b""))
