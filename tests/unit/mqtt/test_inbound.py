"""Messages from a client: QoS 2 exactly once, topic aliases, the receive maximum, refusals that a client is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.adapters.mqtt.inbound import Refusal
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import (
    MQTT_3_1_1,
    MQTT_5,
    Disconnect,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
)
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.session import Received

from tests.unit.mqtt.strategies import levels
from tests.unit.mqtt.talking import TOPIC, Talk, connect_of, message, new_session

REFUSED = Refusal("forbidden", "not for you", 1.5, ReasonCode.NOT_AUTHORIZED)


@given(levels)
def test_qos_2_is_received_once_stored_and_complete_once_released(level: int) -> None:
    talk = Talk(connect_of(level))
    batch = talk.publish(message(1, 2))
    assert batch.ids == {0: "s-1-1"}
    assert talk.session.inbound == {1: Received("s-1-1")}
    assert talk.sent() == []
    talk.connection.settle(batch, {})
    assert talk.sent() == [PubRec(1)]
    assert talk.session.inbound == {1: Received("s-1-1", is_stored=True)}
    assert talk.say(PubRel(1)) == []
    assert talk.sent() == [PubComp(1)]
    assert talk.session.inbound == {}


@given(levels)
def test_a_repetition_of_qos_2_is_answered_and_not_stored_again(level: int) -> None:
    talk = Talk(connect_of(level))
    batch = talk.publish(message(1, 2), message(1, 2, dup=True), message(2))
    assert batch.publishes == [message(1, 2), message(2)]
    assert talk.say(message(1, 2, dup=True)) == []
    talk.connection.settle(batch, {})
    assert talk.sent() == [PubRec(1), PubRec(1), PubAck(2), PubRec(1)]
    assert talk.say(message(1, 2, dup=True)) == []
    assert talk.sent() == [PubRec(1)]


@given(levels)
def test_a_packet_identifier_that_was_released_stands_for_a_new_message(level: int) -> None:
    talk = Talk(connect_of(level))
    assert talk.store(message(1, 2)) == [PubRec(1)]
    batch = talk.publish(PubRel(1), message(1, 2))
    assert batch.ids == {0: "s-1-2"}


@given(levels)
def test_after_a_reconnection_a_stored_message_is_not_stored_again(level: int) -> None:
    first = Talk(connect_of(level))
    assert first.store(message(1, 2)) == [PubRec(1)]
    again = Talk(connect_of(level), session=first.session)
    assert again.say(message(1, 2, dup=True)) == []
    assert again.sent() == [PubRec(1)]
    again.say(PubRel(1))
    assert again.sent() == [PubComp(1)]


@given(levels)
def test_after_a_crash_a_message_that_comes_again_is_stored_under_the_same_id(level: int) -> None:
    """Whether the first one was stored is not known: its session was written before."""
    first = Talk(connect_of(level))
    assert first.publish(message(1, 2)).ids == {0: "s-1-1"}
    again = Talk(connect_of(level), session=first.session)
    assert again.publish(message(1, 2, dup=True)).ids == {0: "s-1-1"}


@given(levels)
def test_after_a_crash_a_new_message_is_not_taken_for_one_whose_release_got_lost(level: int) -> None:
    session = new_session("later")
    session.inbound[1] = Received("s-1-1", is_stored=True)
    talk = Talk(connect_of(level), session=session)
    assert talk.publish(message(1, 2)).ids == {0: "later-1-1"}


def test_in_3_1_1_what_may_be_stored_in_spite_of_its_refusal_keeps_its_id() -> None:
    for is_final, id_ in ((False, "s-1-1"), (True, "s-1-2")):
        first = Talk(connect_of(MQTT_3_1_1))
        unsure = Refusal("unavailable", "no answer", 1.0, is_final=is_final)
        first.connection.settle(first.publish(message(1, 2)), {0: unsure})
        assert first.sent() == []
        again = Talk(connect_of(MQTT_3_1_1), session=first.session)
        assert again.publish(message(1, 2, dup=True)).ids == {0: id_}


@given(levels)
def test_the_release_of_what_is_not_known_is_answered(level: int) -> None:
    talk = Talk(connect_of(level))
    talk.say(PubRel(9))
    unknown = ReasonCode.SUCCESS if level == MQTT_3_1_1 else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
    assert talk.sent() == [PubComp(9, unknown)]


def test_a_refused_message_is_told_to_a_client_of_mqtt_5_and_its_connection_lives() -> None:
    talk = Talk()
    answers = talk.store(message(1), message(2), message(3, 2), message(4), refusals={1: REFUSED, 2: REFUSED})
    why = Properties(reason_string="not for you")
    refused = ReasonCode.NOT_AUTHORIZED
    assert answers == [PubAck(1), PubAck(2, refused, why), PubRec(3, refused, why), PubAck(4)]
    assert talk.session.inbound == {}
    assert talk.connection.wants_input
    assert talk.publish(message(3, 2)).ids == {0: "s-1-2"}, "its packet identifier is free again"


def test_a_reason_string_is_left_out_where_nobody_wants_it_or_it_does_not_fit() -> None:
    for connect in (connect_of(request_problem_information=0), connect_of(maximum_packet_size=10)):
        talk = Talk(connect_of())
        talk = Talk(connect) if connect.properties.maximum_packet_size is None else small(talk)
        assert talk.store(message(1), refusals={0: REFUSED}) == [PubAck(1, ReasonCode.NOT_AUTHORIZED)]


def small(talk: Talk) -> Talk:
    """Its client takes packets of ten bytes at most; CONNACK has more, so it cannot be asked for at the beginning."""
    talk.connection._output.maximum_packet_size = 10
    return talk


@given(st.integers(1, 5), st.lists(st.sampled_from([1, 2]), min_size=6, max_size=12))
def test_who_exceeds_the_receive_maximum_is_disconnected(maximum: int, qos: list[int]) -> None:
    talk = Talk(limits=MqttLimits(receive_maximum=maximum))
    packets = [message(packet_id, one) for packet_id, one in enumerate(qos, start=1)]
    batches = [talk.publish(one) for one in packets[:maximum]]
    last = talk.publish(packets[maximum])
    assert not talk.connection.wants_input
    for batch in batches:
        assert talk.connection.settle(batch, {}) == []
    assert len(talk.connection.settle(last, {})) == 1
    *_, goodbye = talk.sent()
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason_code == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.booleans()), max_size=30))
def test_who_keeps_to_the_receive_maximum_may_send_for_ever(messages: list[tuple[int, bool]]) -> None:
    talk = Talk(limits=MqttLimits(receive_maximum=1))
    for qos, is_refused in messages:
        talk.store(message(1, qos), refusals={0: REFUSED} if is_refused else None)
        if qos == 2 and not is_refused:
            assert talk.say(PubRel(1)) == []
        assert talk.connection.wants_input


def test_what_an_earlier_connection_left_unreleased_does_not_count() -> None:
    session = new_session()
    session.inbound = {packet_id: Received(f"old-{packet_id}", is_stored=True) for packet_id in (1, 2, 3)}
    talk = Talk(limits=MqttLimits(receive_maximum=1), session=session)
    assert talk.store(message(9, 2)) == [PubRec(9)]
    talk.say(PubRel(1), PubRel(9))
    assert talk.connection.wants_input


def test_in_3_1_1_unreleased_messages_are_bounded_too() -> None:
    talk = Talk(connect_of(MQTT_3_1_1), MqttLimits(receive_maximum=2))
    assert talk.store(message(1, 2), message(2, 2)) == [PubRec(1), PubRec(2)]
    (ended,) = talk.connection.settle(talk.publish(message(3, 2)), {})
    assert "the limit is 2" in str(ended)


def test_a_topic_alias_stands_for_the_topic_that_came_with_it_last() -> None:
    talk = Talk()

    def aliased(topic: str, packet_id: int) -> Publish:
        return Publish(topic, b"{}", 1, packet_id, properties=Properties(topic_alias=3, content_type="x"))

    batch = talk.publish(aliased("a", 1), aliased("", 2), aliased("b", 3), aliased("", 4))
    assert [one.topic for one in batch.publishes] == ["a", "a", "b", "b"]
    assert {one.properties for one in batch.publishes} == {Properties(content_type="x")}


@pytest.mark.parametrize(
    ("publish", "code"),
    [
        (Publish("a", b"", properties=Properties(topic_alias=65)), ReasonCode.TOPIC_ALIAS_INVALID),
        (Publish("", b"", properties=Properties(topic_alias=1)), ReasonCode.PROTOCOL_ERROR),
        (Publish("a", b"", properties=Properties(subscription_identifier=(1,))), ReasonCode.PROTOCOL_ERROR),
    ],
)
def test_a_publish_that_no_client_may_send_ends_the_connection_with_the_reason(
    publish: Publish, code: ReasonCode
) -> None:
    talk = Talk()
    assert talk.ended(publish).code == code
    (goodbye,) = talk.sent()
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason_code == code


def test_a_topic_that_is_too_long_gets_no_alias() -> None:
    """It is refused in any case; kept, a client's aliases could hold megabytes."""
    talk = Talk()
    batch = talk.publish(Publish("x" * 2000, b"", properties=Properties(topic_alias=1)))
    assert batch.publishes[0].topic == "x" * 2000
    talk.connection.settle(batch, {})
    assert talk.ended(Publish("", b"", properties=Properties(topic_alias=1))).code == ReasonCode.PROTOCOL_ERROR


def test_an_alias_ends_with_its_connection() -> None:
    first = Talk()
    first.publish(Publish("a", b"", properties=Properties(topic_alias=1)))
    again = Talk(session=first.session)
    assert again.ended(Publish("", b"", properties=Properties(topic_alias=1))).reason == "protocol"


def test_user_properties_count_against_what_may_be_in_flight() -> None:
    talk = Talk(limits=MqttLimits(in_flight_bytes=1000))
    talk.publish(Publish(TOPIC, b"", properties=Properties(user_property=(("", ""),) * 10)))
    assert not talk.connection.wants_input


def test_mqtt_5_passes_on_what_the_publisher_says_of_a_message() -> None:
    said = Properties(
        payload_format_indicator=1,
        message_expiry_interval=60,
        response_topic="r",
        correlation_data=b"c",
        user_property=(("a", "1"), ("a", "2")),
    )
    publish = Publish(TOPIC, b"{}", 1, 1, retain=True, properties=said)
    assert Talk(connect_of(MQTT_5)).publish(publish).publishes == [publish]
