"""How a connection ends: what a client of MQTT 5 is told, and what becomes of its will and its session."""

from __future__ import annotations

import pytest
from hypothesis import given
from iot_system.adapters.mqtt.connection import Connection
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.events import Ended, Event
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, Connect, Disconnect, Will
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.reasons import ReasonCode

from tests.unit.mqtt.strategies import levels
from tests.unit.mqtt.talking import LIMITS, Talk, connect_of, message

WILL = Will("app/gone", b"1", 1, properties=Properties(will_delay_interval=5))
PLAIN_WILL = Will("app/gone", b"1", 1)


def will_of(events: list[Event]) -> Will | None:
    (ended,) = events
    assert isinstance(ended, Ended)
    return ended.will


def expected(level: int) -> Will:
    return WILL if level == MQTT_5 else PLAIN_WILL


def willing(level: int) -> Talk:
    return Talk(Connect("c", level, keep_alive_s=60, will=expected(level)))


@given(levels)
def test_who_leaves_in_order_takes_its_will_along(level: int) -> None:
    talk = willing(level)
    assert will_of(talk.say(Disconnect())) is None
    assert talk.connection.end() == []


@given(levels)
def test_the_will_of_who_vanishes_is_given_back_once(level: int) -> None:
    talk = willing(level)
    assert will_of(talk.connection.end()) == expected(level)
    assert talk.connection.end() == []


@given(levels)
def test_the_will_counts_for_every_end_that_the_client_did_not_ask_for(level: int) -> None:
    assert will_of(willing(level).connection.check_time(1000.0)) == expected(level)
    assert will_of(willing(level).connection.receive(b"\x00\x00", 0.0)) == expected(level)
    assert will_of(willing(level).connection.finish(Ended("taken_over"))) == expected(level)


def test_a_client_of_mqtt_5_may_leave_and_want_its_will_published() -> None:
    assert will_of(willing(MQTT_5).say(Disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE))) == WILL


@given(levels)
def test_who_was_never_let_in_has_no_will(level: int) -> None:
    connect = Connect("c", level, will=expected(level))
    connection = Connection(LIMITS, 0.0)
    connection.receive(encode(connect), 0.0)
    assert will_of(connection.refuse(ReasonCode.NOT_AUTHORIZED, "word", "no")) is None
    connection = Connection(LIMITS, 0.0)
    connection.receive(encode(connect), 0.0)
    assert will_of(connection.end()) is None


@given(levels)
def test_a_will_waits_for_what_is_in_flight_unless_the_client_is_gone(level: int) -> None:
    talk = willing(level)
    batch = talk.publish(message(1))
    assert talk.connection.finish(Ended("shutdown")) == []
    assert will_of(talk.connection.end()) == expected(level)
    assert talk.connection.settle(batch, {}) == []


@pytest.mark.parametrize(
    "code",
    [
        ReasonCode.SESSION_TAKEN_OVER,
        ReasonCode.SERVER_SHUTTING_DOWN,
        ReasonCode.ADMINISTRATIVE_ACTION,
        ReasonCode.QUOTA_EXCEEDED,
    ],
)
def test_a_client_of_mqtt_5_is_told_why_the_server_ends_the_connection(code: ReasonCode) -> None:
    for level in (MQTT_3_1_1, MQTT_5):
        talk = Talk(connect_of(level))
        talk.connection.finish(Ended("word", "because", code=code))
        told = [Disconnect(code, Properties(reason_string="because"))] if level == MQTT_5 else []
        assert talk.sent() == told


def test_who_takes_only_small_packets_is_told_that_its_connection_ends_but_not_why() -> None:
    talk = Talk(connect_of(maximum_packet_size=30))
    talk.connection.finish(Ended("word", "x" * 30, code=ReasonCode.SERVER_SHUTTING_DOWN))
    assert talk.sent() == [Disconnect(ReasonCode.SERVER_SHUTTING_DOWN)]


def test_disconnect_comes_after_the_last_acknowledgement() -> None:
    talk = Talk()
    batch = talk.publish(message(1))
    talk.connection.finish(Ended("shutdown", code=ReasonCode.SERVER_SHUTTING_DOWN))
    assert talk.sent() == []
    talk.connection.settle(batch, {})
    assert [type(one).__name__ for one in talk.sent()] == ["PubAck", "Disconnect"]


def test_a_client_may_change_the_expiry_of_its_session_when_it_leaves() -> None:
    talk = Talk(connect_of(session_expiry_interval=10), MqttLimits(session_expiry_s=100))
    talk.say(Disconnect(properties=Properties(session_expiry_interval=1000)))
    assert talk.session.expiry_interval_s == 100
    talk = Talk(connect_of(session_expiry_interval=10))
    talk.say(Disconnect(properties=Properties(session_expiry_interval=0)))
    assert talk.session.expiry_interval_s == 0


def test_a_session_that_ends_with_its_connection_gets_no_expiry_afterwards() -> None:
    talk = Talk()
    ended = talk.ended(Disconnect(properties=Properties(session_expiry_interval=10)))
    assert ended.code == ReasonCode.PROTOCOL_ERROR
    assert talk.session.expiry_interval_s == 0
