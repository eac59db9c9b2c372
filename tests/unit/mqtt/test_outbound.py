"""Messages to a client: in order, under its receive maximum, again after a reconnection."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.adapters.mqtt.events import Acknowledged
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, Packet, PubAck, Publish
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.session import Delivery

from tests.unit.mqtt.strategies import levels
from tests.unit.mqtt.talking import Talk, connect_of

FORGETFUL = MqttLimits(topic_aliases=0)


def delivery(number: int, qos: int = 1, *, topic: str = "t", expires_s: float | None = None) -> Delivery:
    return Delivery(topic, b"%d" % number, qos, expires_s=expires_s, id=str(number))


def deliver(talk: Talk, *deliveries: Delivery) -> list[Publish]:
    """What the client receives of these, when there is room for all."""
    assert talk.connection.deliver(deliveries, talk.now_s) == []
    return received(talk)


def received(talk: Talk) -> list[Publish]:
    return [one for one in talk.sent() if isinstance(one, Publish)]


def numbers(packets: list[Publish]) -> list[int]:
    return [int(one.payload) for one in packets]


@given(levels)
def test_qos_0_is_sent_at_once_and_qos_1_until_it_is_acknowledged(level: int) -> None:
    talk = Talk(connect_of(level))
    first, second = deliver(talk, delivery(1, 0), delivery(2))
    assert first == Publish("t", b"1")
    assert second == Publish("t", b"2", 1, 1)
    assert list(talk.session.in_flight) == [1]
    assert talk.say(PubAck(1)) == [Acknowledged([delivery(2)], [])]
    assert talk.session.in_flight == {}
    assert talk.session.queued_bytes == 0


def test_a_client_may_refuse_a_message_for_good() -> None:
    talk = Talk()
    deliver(talk, delivery(1))
    assert talk.say(PubAck(1, ReasonCode.QUOTA_EXCEEDED)) == [Acknowledged([delivery(1)], [])]


@given(st.integers(1, 5), st.integers(0, 20), st.integers(0, 2**32))
def test_never_more_is_unacknowledged_than_the_client_takes_and_the_order_is_kept(
    maximum: int, count: int, seed: int
) -> None:
    chance = random.Random(seed)
    talk = Talk(connect_of(receive_maximum=maximum))
    waiting: list[int] = []
    got: list[int] = []
    acknowledged = 0
    todo = [delivery(number) for number in range(count)]
    while acknowledged < count:
        if todo and chance.random() < 0.5:
            taken, todo = todo[:3], todo[3:]
            new = deliver(talk, *taken)
        elif waiting:
            (event,) = talk.say(PubAck(waiting.pop(chance.randrange(len(waiting)))))
            assert isinstance(event, Acknowledged)
            acknowledged += 1
            new = received(talk)
        else:
            continue
        waiting += [one.packet_id for one in new]
        got += numbers(new)
        assert len(waiting) <= maximum
        assert len(set(waiting)) == len(waiting), "a packet identifier is used once at a time"
    assert got == list(range(count))


@given(levels, st.integers(1, 4), st.sets(st.integers(1, 6)))
def test_what_was_not_acknowledged_is_sent_again_first_in_its_order_and_marked(
    level: int, maximum: int, acknowledged: set[int]
) -> None:
    first = Talk(connect_of(level))
    deliver(first, *[delivery(number) for number in range(1, 7)])
    for packet_id in acknowledged:
        first.say(PubAck(packet_id))
    first.connection.deliver([delivery(7)], 0.0)
    connect = connect_of(level, receive_maximum=maximum) if level == MQTT_5 else connect_of(level)
    again = Talk(connect, session=first.session)
    got: list[Publish] = [one for one in again.greeting if isinstance(one, Publish)]
    assert level == MQTT_3_1_1 or len(got) <= maximum
    at = 0
    while at < len(got):
        again.say(PubAck(got[at].packet_id))
        got += received(again)
        at += 1
    assert numbers(got) == [number for number in range(1, 8) if number not in acknowledged]
    assert all(one.dup for one in got)
    assert first.session.in_flight == {}
    assert first.session.queued_bytes == 0


def test_an_acknowledgement_that_comes_before_the_repetition_spares_it() -> None:
    first = Talk()
    deliver(first, delivery(1), delivery(2))
    again = Talk(connect_of(receive_maximum=1), session=first.session)
    assert numbers([one for one in again.greeting if isinstance(one, Publish)]) == [1]
    assert again.say(PubAck(2)) == [Acknowledged([delivery(2)], [])]
    assert again.say(PubAck(1)) == [Acknowledged([delivery(1)], [])]
    assert received(again) == []


def test_over_the_session_s_bound_a_message_is_dropped_and_the_caller_is_told() -> None:
    talk = Talk(limits=MqttLimits(queued_messages=2))
    assert talk.connection.deliver([delivery(number) for number in range(4)], 0.0) == [delivery(2), delivery(3)]
    assert numbers(received(talk)) == [0, 1]
    talk = Talk(limits=MqttLimits(queued_bytes=5))
    assert talk.connection.deliver([delivery(1), delivery(2), delivery(3)], 0.0) == [delivery(3)]


def test_a_message_larger_than_all_room_gets_through_alone() -> None:
    talk = Talk(limits=MqttLimits(queued_bytes=5))
    large = Delivery("t", b"x" * 100, 1)
    assert talk.connection.deliver([large, delivery(1)], 0.0) == [delivery(1)]


def test_a_client_that_does_not_read_is_sent_nothing_more() -> None:
    talk = Talk()
    talk.connection.write_blocked(0.0)
    assert talk.connection.deliver([delivery(1), delivery(2, 0), delivery(3)], 0.0) == [delivery(2, 0)]
    assert received(talk) == []
    assert talk.connection.write_unblocked(0.0) == []
    assert numbers(received(talk)) == [1, 3]


def test_qos_0_is_dropped_where_too_much_waits_to_be_written() -> None:
    talk = Talk(limits=MqttLimits(output_bytes=1000))
    large = [Delivery("t", b"x" * 400, id=str(number)) for number in range(5)]
    assert talk.connection.deliver(large, 0.0) == large[3:]


def test_after_the_end_messages_wait_for_the_next_connection() -> None:
    talk = Talk()
    talk.connection.end()
    assert talk.connection.deliver([delivery(1), delivery(2, 0)], 0.0) == [delivery(2, 0)]
    assert received(talk) == []
    again = Talk(session=talk.session)
    assert numbers([one for one in again.greeting if isinstance(one, Publish)]) == [1]
    assert not any(one.dup for one in again.greeting if isinstance(one, Publish)), "it was never sent"


@given(st.sampled_from([0, 1]))
def test_the_time_that_is_left_is_sent_on_and_what_has_expired_is_not(qos: int) -> None:
    talk = Talk(connect_of(), FORGETFUL, now_s=100.0, epoch_s=1_000_000.0)
    left, none = deliver(
        talk,
        delivery(1, qos, expires_s=1_000_100.0 + 7.5),
        delivery(2, qos, expires_s=1_000_100.0),
        delivery(3, qos),
    )
    assert left.properties == Properties(message_expiry_interval=8)
    assert none == Publish("t", b"3", qos, 2 if qos else 0)
    assert talk.session.queued_bytes == 2 * qos * delivery(1).size


def test_what_expires_while_it_waits_is_not_sent_and_makes_room() -> None:
    talk = Talk(connect_of(receive_maximum=1), MqttLimits(queued_messages=2))
    deliver(talk, delivery(1), delivery(2, expires_s=10.0))
    assert talk.connection.deliver([delivery(3)], 5.0) == [delivery(3)]
    assert talk.connection.deliver([delivery(3)], 10.0) == []
    talk.now_s = 10.0
    talk.say(PubAck(1))
    assert numbers(received(talk)) == [3]


def test_an_alias_is_told_once_and_used_after_that() -> None:
    talk = Talk(connect_of(topic_alias_maximum=2))
    topics = ("a", "a", "b", "c", "b")
    got = deliver(talk, *[delivery(number, topic=topic) for number, topic in enumerate(topics)])
    assert [(one.topic, one.properties.topic_alias) for one in got] == [
        ("a", 1),
        ("", 1),
        ("b", 2),
        ("c", None),
        ("", 2),
    ]


def test_there_are_no_aliases_for_a_client_that_takes_none() -> None:
    assert deliver(Talk(), delivery(1))[0].properties == Properties()


@pytest.mark.parametrize("qos", [0, 1])
def test_what_is_too_large_for_the_client_is_dropped_and_the_caller_is_told(qos: int) -> None:
    talk = Talk(connect_of(maximum_packet_size=50, topic_alias_maximum=5))
    large = Delivery("t", b"x" * 60, qos)
    assert talk.connection.deliver([large, delivery(2, qos)], 0.0) == [large]
    (got,) = received(talk)
    assert (got.topic, got.properties.topic_alias) == ("t", 1), "an alias that was not told is not used"
    assert len(talk.session.in_flight) == qos


def test_what_turns_out_too_large_when_its_turn_comes_is_told_apart_from_what_is_acknowledged() -> None:
    talk = Talk(connect_of(maximum_packet_size=50, receive_maximum=1))
    large = Delivery("t", b"x" * 60, 1)
    assert talk.connection.deliver([delivery(1), large, delivery(2)], 0.0) == []
    talk.sent()
    assert talk.say(PubAck(1)) == [Acknowledged([delivery(1)], [large])]
    assert numbers(received(talk)) == [2]


def test_packet_identifiers_begin_anew_and_skip_what_is_in_flight() -> None:
    talk = Talk()
    deliver(talk, delivery(1))
    talk.session.last_packet_id = 65_534
    assert [one.packet_id for one in deliver(talk, delivery(2), delivery(3))] == [65_535, 2]


def test_nothing_of_mqtt_5_reaches_a_client_of_3_1_1() -> None:
    talk = Talk(connect_of(MQTT_3_1_1))
    said = Delivery("t", b"1", 1, True, Properties(content_type="x", subscription_identifier=(1,)), 1000.0)
    packets: list[Packet] = [*deliver(talk, said)]
    assert packets == [Publish("t", b"1", 1, 1, False, True)]
