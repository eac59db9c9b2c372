"""One connection's state machine: what is acknowledged, in which order, and how it ends."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.adapters.mqtt.connection import Connection
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.events import Ended
from iot_system.adapters.mqtt.inbound import Batch, Refusal
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import (
    MQTT_3_1_1,
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
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.reasons import ConnectCode, ReasonCode

from tests.unit.mqtt.strategies import levels
from tests.unit.mqtt.talking import LIMITS, TOPIC, Talk, connect_of, message, new_session

CONNECT = connect_of(MQTT_3_1_1)
REFUSED = Refusal("payload", "it is bad", 1.5)


def opened(limits: MqttLimits = LIMITS, connect: Connect = CONNECT) -> Talk:
    talk = Talk(connect, limits)
    assert talk.accepted == []
    assert talk.connack == ConnAck(0)
    return talk


def reads(talk: Talk) -> bool:
    return talk.connection.wants_input


def test_what_is_sent_before_the_answer_to_connect_waits_for_it() -> None:
    connection = Connection(LIMITS, 0.0)
    assert connection.receive(encode(CONNECT) + encode(message(1)) + encode(PingReq()), 0.0) == [CONNECT]
    assert connection.receive(encode(message(2)), 0.0) == []
    assert connection.output() == b""
    (batch,) = connection.accept(CONNECT, new_session(), 0.0)
    assert isinstance(batch, Batch)
    assert batch.publishes == [message(1), message(2)]
    assert connection.output() == encode(ConnAck(0)) + encode(PingResp())


def test_a_refused_connect_is_answered_and_nothing_behind_it_counts() -> None:
    connection = Connection(LIMITS, 0.0)
    connection.receive(encode(CONNECT) + encode(message(1)), 0.0)
    assert connection.refuse(ReasonCode.NOT_AUTHORIZED, "unauthenticated", "no") == [Ended("unauthenticated", "no")]
    assert connection.output() == encode(ConnAck(ConnectCode.NOT_AUTHORIZED))
    assert connection.receive(encode(message(2)), 0.0) == []


def test_the_first_packet_must_be_connect() -> None:
    connection = Connection(LIMITS, 0.0)
    (ended,) = connection.receive(encode(message(1)), 0.0)
    assert isinstance(ended, Ended)
    assert ended.reason == "protocol"
    assert connection.output() == b""


@pytest.mark.parametrize(
    "packet", [CONNECT, PubRec(1), PubComp(1), ConnAck(0), SubAck(1, (ReasonCode.SUCCESS,)), UnsubAck(1), PingResp()]
)
def test_what_no_client_may_send_ends_the_connection(packet: Packet) -> None:
    assert opened().ended(packet).reason == "protocol"


def test_auth_without_an_authentication_method_is_a_protocol_error() -> None:
    talk = Talk()
    assert talk.ended(Auth(ReasonCode.RE_AUTHENTICATE)).code == ReasonCode.PROTOCOL_ERROR


@given(levels)
def test_an_acknowledgement_of_what_a_session_that_is_gone_has_sent_means_nothing(level: int) -> None:
    talk = Talk(connect_of(level))
    assert talk.say(PubAck(1)) == []
    assert reads(talk)


@given(levels)
def test_a_message_is_acknowledged_when_it_is_settled_and_not_before(level: int) -> None:
    talk = Talk(connect_of(level))
    batch = talk.publish(message(5), Publish(TOPIC, b"{}"), message(6))
    assert talk.sent() == []
    assert talk.connection.settle(batch, {}) == []
    assert talk.sent() == [PubAck(5), PubAck(6)]


@given(levels, st.lists(st.sampled_from([1, 2]), min_size=1, max_size=16), st.integers(0, 2**32))
def test_acknowledgements_leave_in_the_order_of_the_packets_whatever_the_order_of_storing(
    level: int, qos: list[int], seed: int
) -> None:
    talk = Talk(connect_of(level))
    chance = random.Random(seed)
    packets = [message(packet_id, one) for packet_id, one in enumerate(qos, start=1)]
    batches = []
    while packets:
        count = chance.randint(1, 3)
        batches.append(talk.publish(*packets[:count]))
        packets = packets[count:]
    chance.shuffle(batches)
    received: list[Packet] = []
    for batch in batches:
        talk.connection.settle(batch, {})
        received += talk.sent()
    assert received == [PubAck(id_) if one == 1 else PubRec(id_) for id_, one in enumerate(qos, start=1)]


def test_a_refused_message_is_not_acknowledged_the_others_are_then_the_connection_ends() -> None:
    talk = opened()
    first = talk.publish(message(1))
    second = talk.publish(message(2), message(3))
    assert talk.connection.settle(second, {0: REFUSED}) == [], "what came before it is not durable yet"
    assert talk.connection.settle(first, {}) == [Ended("payload", "it is bad", 1.5)]
    assert talk.sent() == [PubAck(1), PubAck(3)]


@given(levels)
def test_a_refused_message_of_qos_0_ends_nothing(level: int) -> None:
    talk = Talk(connect_of(level))
    assert talk.store(Publish("nowhere", b"{}"), refusals={0: REFUSED}) == []
    assert reads(talk)


@given(levels)
def test_disconnect_waits_for_what_is_in_flight(level: int) -> None:
    talk = Talk(connect_of(level))
    batch = talk.publish(message(1), Disconnect())
    assert talk.say(message(2)) == []
    assert talk.connection.settle(batch, {}) == [Ended("disconnect")]
    assert talk.sent() == [PubAck(1)]


def test_bytes_that_are_no_packet_end_the_connection_after_what_came_before_them() -> None:
    talk = opened()
    (batch,) = talk.connection.receive(encode(message(1)) + b"\x00\x00", 0.0)
    assert isinstance(batch, Batch)
    (ended,) = talk.connection.settle(batch, {})
    assert isinstance(ended, Ended)
    assert ended.reason == "malformed"
    assert talk.sent() == [PubAck(1)]


@pytest.mark.parametrize(
    "limits", [MqttLimits(in_flight_messages=3), MqttLimits(in_flight_bytes=70)], ids=["messages", "bytes"]
)
def test_over_its_bound_a_client_is_not_read_any_further(limits: MqttLimits) -> None:
    talk = opened(limits)
    batches = [talk.publish(message(number)) for number in (1, 2)]
    assert reads(talk)
    batches.append(talk.publish(message(3)))
    assert not reads(talk)
    talk.connection.settle(batches[0], {})
    assert reads(talk)


@given(levels)
def test_a_subscription_is_answered_before_anything_behind_it_is_looked_at(level: int) -> None:
    talk = Talk(connect_of(level))
    subscribe = Subscribe(1, (("a/#", Options(2)), ("b", Options(1))))
    batch, asked = talk.say(message(1), subscribe, PingReq(), message(2))
    assert isinstance(batch, Batch)
    assert asked == subscribe
    assert not reads(talk)
    assert talk.say(message(3)) == []
    assert talk.sent() == []
    (later,) = talk.connection.answer([ReasonCode.GRANTED_QOS_1, ReasonCode.NOT_AUTHORIZED], 0.0)
    assert isinstance(later, Batch)
    assert later.publishes == [message(2), message(3)]
    refused = ReasonCode.UNSPECIFIED_ERROR if level == MQTT_3_1_1 else ReasonCode.NOT_AUTHORIZED
    assert talk.sent() == [SubAck(1, (ReasonCode.GRANTED_QOS_1, refused)), PingResp()]


def test_a_client_that_takes_no_suback_as_large_as_its_own_is_told_so() -> None:
    """To go on without an answer would leave it waiting for ever."""
    talk = Talk(connect_of(maximum_packet_size=50))
    asked = Subscribe(1, tuple((str(number), Options(1)) for number in range(60)))
    assert talk.say(asked, PingReq()) == [asked]
    (ended,) = talk.connection.answer([ReasonCode.GRANTED_QOS_1] * 60, 0.0)
    assert isinstance(ended, Ended)
    assert talk.sent() == [Disconnect(ReasonCode.PACKET_TOO_LARGE)]


@given(levels)
def test_an_unsubscription_is_answered_as_the_version_has_it(level: int) -> None:
    talk = Talk(connect_of(level))
    assert talk.say(Unsubscribe(2, ("a", "c"))) == [Unsubscribe(2, ("a", "c"))]
    codes = (ReasonCode.SUCCESS, ReasonCode.NO_SUBSCRIPTION_EXISTED)
    talk.connection.answer(codes, 0.0)
    assert talk.sent() == [UnsubAck(2, () if level == MQTT_3_1_1 else codes)]


def test_a_break_behind_a_subscription_ends_the_connection_after_its_answer() -> None:
    talk = Talk()
    subscribe = Subscribe(1, (("a", Options(0)),))
    assert talk.connection.receive(encode(subscribe, talk.level) + b"\x00\x00", 0.0) == [subscribe]
    assert talk.connection.receive(encode(message(1), talk.level), 0.0) == [], "what follows a break is not packets"
    (ended,) = talk.connection.answer([ReasonCode.SUCCESS], 0.0)
    assert isinstance(ended, Ended)
    answer, goodbye = talk.sent()
    assert answer == SubAck(1, (ReasonCode.SUCCESS,))
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason_code == ended.code == ReasonCode.MALFORMED_PACKET


@given(levels)
def test_a_client_that_is_silent_for_one_and_a_half_keep_alives_is_gone(level: int) -> None:
    talk = Talk(connect_of(level))
    assert talk.connection.check_time(89.0) == []
    talk.now_s = 89.0
    talk.say(PingReq())
    talk.sent()
    assert talk.connection.check_time(178.0) == []
    (ended,) = talk.connection.check_time(180.0)
    assert isinstance(ended, Ended)
    assert ended.reason == "timeout"
    assert [one for one in talk.sent() if isinstance(one, Disconnect)] == (
        [] if level == MQTT_3_1_1 else [Disconnect(ReasonCode.KEEP_ALIVE_TIMEOUT, _why(ended))]
    )


def _why(ended: Ended) -> Properties:
    return Properties(reason_string=ended.why)


def test_without_keep_alive_a_client_may_be_silent_for_ever() -> None:
    assert opened(connect=Connect("client")).connection.check_time(1e9) == []


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
    connection = opened(connect=Connect("client")).connection
    data = encode(Publish("a", b"x" * 1000, 1, 1))
    for second in range(int(LIMITS.packet_timeout_s)):
        connection.receive(data[second : second + 1], float(second))
        assert connection.check_time(float(second)) == []
    (ended,) = connection.check_time(LIMITS.packet_timeout_s + 1)
    assert isinstance(ended, Ended)
    assert "not complete" in (ended.why or "")


def test_a_pause_of_our_making_does_not_count_against_the_client() -> None:
    talk = opened(MqttLimits(in_flight_messages=1))
    batch = talk.publish(message(1))
    connection = talk.connection
    assert connection.check_time(1000.0) == []
    connection.settle(batch, {})
    connection.input_resumed(1000.0)
    assert connection.check_time(1080.0) == []
    assert len(connection.check_time(1091.0)) == 1


def test_a_client_that_does_not_read_its_answers_is_cut() -> None:
    talk = opened()
    talk.connection.write_blocked(10.0)
    assert not reads(talk)
    assert talk.connection.check_time(39.0) == []
    (ended,) = talk.connection.check_time(41.0)
    assert isinstance(ended, Ended)
    assert ended.reason == "slow_reader"


def test_after_the_end_nothing_is_sent_any_more() -> None:
    talk = opened()
    batch = talk.publish(message(1))
    assert talk.connection.end() == [Ended("lost")]
    assert talk.connection.end() == []
    assert talk.connection.settle(batch, {}) == []
    assert talk.sent() == []
