"""One connection's state machine: what is acknowledged, in which order, and how it ends."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.adapters.mqtt.connection import Batch, Connection, Ended, Refusal
from iot_system.adapters.mqtt.decoding import Decoder
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import (
    ConnAck,
    Connect,
    Disconnect,
    Options,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    PubRel,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)
from iot_system.adapters.mqtt.reasons import ConnectCode, ReasonCode
from iot_system.ports.gateway import Principal

DEVICE = Principal("device", "one")
LIMITS = MqttLimits()
CONNECT = Connect("client", keep_alive_s=60, username="one", password=b"x")
REFUSED = Refusal("payload", "it is bad", 1.5)


def sent(connection: Connection) -> list[Packet]:
    """What the client would receive now."""
    packets: list[Packet] = []
    Decoder(1 << 20, 1 << 20).feed(connection.output(), packets)
    return packets


def opened(limits: MqttLimits = LIMITS, connect: Connect = CONNECT) -> Connection:
    connection = Connection(limits, 0.0)
    assert connection.receive(encode(connect), 0.0) == [connect]
    assert connection.accept(connect, DEVICE) == []
    assert sent(connection) == [ConnAck(0)]
    return connection


def publish(connection: Connection, *packets: Packet) -> Batch:
    (batch,) = connection.receive(b"".join(map(encode, packets)), 0.0)
    assert isinstance(batch, Batch)
    return batch


def reads(connection: Connection) -> bool:
    return connection.wants_input


def qos1(packet_id: int) -> Publish:
    return Publish("v1/devices/me/telemetry", b"{}", 1, packet_id)


def test_what_is_sent_before_the_answer_to_connect_waits_for_it() -> None:
    connection = Connection(LIMITS, 0.0)
    assert connection.receive(encode(CONNECT) + encode(qos1(1)) + encode(PingReq()), 0.0) == [CONNECT]
    assert connection.receive(encode(qos1(2)), 0.0) == []
    assert sent(connection) == []
    (batch,) = connection.accept(CONNECT, DEVICE)
    assert isinstance(batch, Batch)
    assert batch.publishes == [qos1(1), qos1(2)]
    assert sent(connection) == [ConnAck(0), PingResp()]


def test_a_refused_connect_is_answered_and_nothing_behind_it_counts() -> None:
    connection = Connection(LIMITS, 0.0)
    connection.receive(encode(CONNECT) + encode(qos1(1)), 0.0)
    assert connection.refuse(ConnectCode.NOT_AUTHORIZED, "unauthenticated", "no") == [Ended("unauthenticated", "no")]
    assert sent(connection) == [ConnAck(ConnectCode.NOT_AUTHORIZED)]
    assert connection.receive(encode(qos1(2)), 0.0) == []


def test_the_first_packet_must_be_connect() -> None:
    connection = Connection(LIMITS, 0.0)
    (ended,) = connection.receive(encode(qos1(1)), 0.0)
    assert isinstance(ended, Ended)
    assert ended.reason == "protocol"
    assert sent(connection) == []


@pytest.mark.parametrize("packet", [CONNECT, PubAck(1), PubRel(1), ConnAck(0), SubAck(1, (ReasonCode.SUCCESS,))])
def test_what_no_client_may_send_ends_the_connection(packet: Packet) -> None:
    (ended,) = opened().receive(encode(packet), 0.0)
    assert isinstance(ended, Ended)
    assert ended.reason == "protocol"


def test_a_message_is_acknowledged_when_it_is_settled_and_not_before() -> None:
    connection = opened()
    batch = publish(connection, qos1(5), Publish("v1/devices/me/telemetry", b"{}"), qos1(6))
    assert sent(connection) == []
    assert connection.settle(batch, {}) == []
    assert sent(connection) == [PubAck(5), PubAck(6)]


@given(st.integers(1, 8), st.integers(0, 2**32))
def test_acknowledgements_leave_in_the_order_of_the_packets_whatever_the_order_of_storing(
    count: int, seed: int
) -> None:
    connection = opened()
    batches = [publish(connection, qos1(2 * number + 1), qos1(2 * number + 2)) for number in range(count)]
    random.Random(seed).shuffle(batches)
    received: list[Packet] = []
    for batch in batches:
        connection.settle(batch, {})
        received += sent(connection)
    assert received == [PubAck(number) for number in range(1, 2 * count + 1)]


def test_a_refused_message_is_not_acknowledged_the_others_are_then_the_connection_ends() -> None:
    connection = opened()
    first = publish(connection, qos1(1))
    second = publish(connection, qos1(2), qos1(3))
    assert connection.settle(second, {0: REFUSED}) == [], "what came before it is not durable yet"
    assert connection.settle(first, {}) == [Ended("payload", "it is bad", 1.5)]
    assert sent(connection) == [PubAck(1), PubAck(3)]


def test_a_refused_message_of_qos_0_ends_nothing() -> None:
    connection = opened()
    batch = publish(connection, Publish("nowhere", b"{}"))
    assert connection.settle(batch, {0: REFUSED}) == []
    assert connection.wants_input


def test_disconnect_waits_for_what_is_in_flight() -> None:
    connection = opened()
    batch = publish(connection, qos1(1), Disconnect())
    assert connection.receive(encode(qos1(2)), 0.0) == []
    assert connection.settle(batch, {}) == [Ended("disconnect")]
    assert sent(connection) == [PubAck(1)]


def test_bytes_that_are_no_packet_end_the_connection_after_what_came_before_them() -> None:
    connection = opened()
    events = connection.receive(encode(qos1(1)) + b"\x00\x00", 0.0)
    (batch,) = events
    assert isinstance(batch, Batch)
    (ended,) = connection.settle(batch, {})
    assert isinstance(ended, Ended)
    assert ended.reason == "malformed"
    assert sent(connection) == [PubAck(1)]


def test_qos_2_ends_the_connection_and_says_so() -> None:
    (ended,) = opened().receive(encode(Publish("a", b"", 2, 1)), 0.0)
    assert ended == Ended("qos", "a message has QoS 2; this server takes QoS 0 and 1")


@pytest.mark.parametrize(
    "limits", [MqttLimits(in_flight_messages=3), MqttLimits(in_flight_bytes=6)], ids=["messages", "bytes"]
)
def test_over_its_bound_a_client_is_not_read_any_further(limits: MqttLimits) -> None:
    connection = opened(limits)
    batches = [publish(connection, qos1(number)) for number in (1, 2)]
    assert reads(connection)
    batches.append(publish(connection, qos1(3)))
    assert not reads(connection)
    connection.settle(batches[0], {})
    assert reads(connection)


def test_subscriptions_are_granted_for_what_is_the_device_s_own_up_to_the_bound() -> None:
    connection = opened(MqttLimits(subscriptions=2))
    asked = (
        ("v1/devices/me/twin/desired", Options(2)),
        ("v1/devices/two/twin/desired", Options(1)),
        ("#", Options(0)),
        ("v1/devices/one/commands/+/+", Options(0)),
        ("v1/devices/one/commands/x/y", Options(1)),
        ("v1/devices/me/twin/desired", Options(0)),
    )
    assert connection.receive(encode(Subscribe(1, asked)), 0.0) == []
    yes, no = ReasonCode.SUCCESS, ReasonCode.UNSPECIFIED_ERROR
    assert sent(connection) == [SubAck(1, (ReasonCode.GRANTED_QOS_1, no, no, yes, no, yes))]
    connection.receive(encode(Unsubscribe(2, ("v1/devices/me/twin/desired", "never/subscribed"))), 0.0)
    assert sent(connection) == [UnsubAck(2)]
    assert connection.subscriptions == {"v1/devices/one/commands/+/+": 0}


def test_a_client_that_is_silent_for_one_and_a_half_keep_alives_is_gone() -> None:
    connection = opened()
    assert connection.check_time(89.0) == []
    connection.receive(encode(PingReq()), 89.0)
    assert connection.check_time(178.0) == []
    (ended,) = connection.check_time(180.0)
    assert isinstance(ended, Ended)
    assert ended.reason == "timeout"


def test_without_keep_alive_a_client_may_be_silent_for_ever() -> None:
    assert opened(connect=Connect("client")).check_time(1e9) == []


def test_a_stranger_must_say_connect_in_time() -> None:
    connection = Connection(LIMITS, 0.0)
    assert connection.check_time(LIMITS.connect_timeout_s) == []
    assert len(connection.check_time(LIMITS.connect_timeout_s + 1)) == 1


def test_a_stranger_that_sends_connect_byte_by_byte_must_be_done_in_time() -> None:
    connection = Connection(LIMITS, 0.0)
    for second in range(int(LIMITS.connect_timeout_s)):
        connection.receive(encode(CONNECT)[second : second + 1], float(second))
    assert len(connection.check_time(LIMITS.connect_timeout_s + 1)) == 1


def test_a_packet_that_never_ends_is_cut_although_bytes_keep_coming() -> None:
    connection = opened(connect=Connect("client"))
    data = encode(Publish("a", b"x" * 1000, 1, 1))
    for second in range(int(LIMITS.packet_timeout_s)):
        connection.receive(data[second : second + 1], float(second))
        assert connection.check_time(float(second)) == []
    (ended,) = connection.check_time(LIMITS.packet_timeout_s + 1)
    assert isinstance(ended, Ended)
    assert "not complete" in (ended.why or "")


def test_a_pause_of_our_making_does_not_count_against_the_client() -> None:
    connection = opened(MqttLimits(in_flight_messages=1))
    batch = publish(connection, qos1(1))
    assert connection.check_time(1000.0) == []
    connection.settle(batch, {})
    connection.input_resumed(1000.0)
    assert connection.check_time(1080.0) == []
    assert len(connection.check_time(1091.0)) == 1


def test_a_client_that_does_not_read_its_answers_is_cut() -> None:
    connection = opened()
    connection.write_blocked(10.0)
    assert not connection.wants_input
    assert connection.check_time(39.0) == []
    (ended,) = connection.check_time(41.0)
    assert isinstance(ended, Ended)
    assert ended.reason == "slow_reader"


def test_after_the_end_nothing_is_sent_any_more() -> None:
    connection = opened()
    batch = publish(connection, qos1(1))
    connection.end()
    assert connection.settle(batch, {}) == []
    assert sent(connection) == []
