"""CONNECT and CONNACK: what client and server agree on, and how a client is not let in."""

from __future__ import annotations

import pytest
from hypothesis import given
from iot_system.adapters.mqtt.connection import Connection
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.events import Ended
from iot_system.adapters.mqtt.limits import HEADERS_BYTES, MqttLimits
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, ConnAck, Connect, Packet, PingReq
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.reasons import ConnectCode, ReasonCode
from iot_system.adapters.mqtt.session import Session

from tests.unit.mqtt.strategies import levels
from tests.unit.mqtt.talking import LIMITS, Talk, connect_of, new_session


def told(connect: Connect, limits: MqttLimits = LIMITS) -> Properties:
    """The properties of the CONNACK that lets a client in."""
    connack = Talk(connect, limits).connack
    assert isinstance(connack, ConnAck)
    assert connack.reason_code == 0
    return connack.properties


def test_the_server_tells_its_limits_where_they_are_not_the_standard_s() -> None:
    assert told(connect_of()) == Properties(
        receive_maximum=LIMITS.receive_maximum,
        maximum_packet_size=LIMITS.payload_bytes + HEADERS_BYTES,
        topic_alias_maximum=LIMITS.topic_aliases,
    )
    plain = told(connect_of(), MqttLimits(receive_maximum=65_535, topic_aliases=0))
    assert plain == Properties(maximum_packet_size=LIMITS.payload_bytes + HEADERS_BYTES)


@given(levels)
def test_session_present_is_told(level: int) -> None:
    assert Talk(connect_of(level), session=new_session()).connack == ConnAck(0, True, told(connect_of(level)))


def test_a_client_without_an_identifier_is_told_the_one_that_it_gets() -> None:
    talk = Talk(Connect("", MQTT_5), session=Session("made-up", "s"))
    assert isinstance(talk.connack, ConnAck)
    assert talk.connack.properties.assigned_client_identifier == "made-up"


@pytest.mark.parametrize(
    ("asked", "kept", "is_told"), [(None, 0, None), (10, 10, None), (1000, 100, 100), (0xFFFF_FFFF, 100, 100)]
)
def test_a_session_expires_when_the_client_says_or_at_the_limit(
    asked: int | None, kept: int, is_told: int | None
) -> None:
    talk = Talk(connect_of(session_expiry_interval=asked), MqttLimits(session_expiry_s=100))
    assert talk.session.expiry_interval_s == kept
    assert isinstance(talk.connack, ConnAck)
    assert talk.connack.properties.session_expiry_interval == is_told


@pytest.mark.parametrize(("clean_start", "kept"), [(True, 0), (False, 100)])
def test_in_3_1_1_a_session_that_is_not_clean_outlives_its_connection(clean_start: bool, kept: int) -> None:
    talk = Talk(Connect("c", clean_start=clean_start), MqttLimits(session_expiry_s=100))
    assert talk.session.expiry_interval_s == kept


@pytest.mark.parametrize(("asked", "is_told", "silence_s"), [(0, 20, 30), (60, 20, 30), (10, None, 15)])
def test_the_server_s_keep_alive_takes_the_place_of_a_longer_one(
    asked: int, is_told: int | None, silence_s: int
) -> None:
    connect = Connect("c", MQTT_5, keep_alive_s=asked)
    talk = Talk(connect, MqttLimits(server_keep_alive_s=20))
    assert isinstance(talk.connack, ConnAck)
    assert talk.connack.properties.server_keep_alive == is_told
    assert talk.connection.check_time(silence_s) == []
    assert len(talk.connection.check_time(silence_s + 1)) == 1


def test_a_client_of_mqtt_5_without_keep_alive_is_given_one() -> None:
    connack = Talk(Connect("c", MQTT_5)).connack
    assert isinstance(connack, ConnAck)
    assert connack.properties.server_keep_alive == 3600


@pytest.mark.parametrize(("asks", "is_told"), [(1, "answers/"), (0, None), (None, None)])
def test_response_information_is_for_who_asks_for_it(asks: int | None, is_told: str | None) -> None:
    connect = connect_of(request_response_information=asks)
    connection = Connection(LIMITS, 0.0)
    connection.receive(encode(connect), 0.0)
    connection.accept(connect, new_session(), 0.0, response_information="answers/")
    talk = Talk(connect)
    talk.connection = connection
    (connack,) = talk.sent()
    assert isinstance(connack, ConnAck)
    assert connack.properties.response_information == is_told


@pytest.mark.parametrize(
    ("code", "old"),
    [
        (ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, ConnectCode.PROTOCOL_LEVEL),
        (ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, ConnectCode.CLIENT_ID),
        (ReasonCode.BAD_USER_NAME_OR_PASSWORD, ConnectCode.CREDENTIALS),
        (ReasonCode.NOT_AUTHORIZED, ConnectCode.NOT_AUTHORIZED),
        (ReasonCode.BANNED, ConnectCode.NOT_AUTHORIZED),
        (ReasonCode.SERVER_UNAVAILABLE, ConnectCode.UNAVAILABLE),
        (ReasonCode.SERVER_BUSY, ConnectCode.UNAVAILABLE),
    ],
)
def test_who_is_not_let_in_is_told_why_in_the_words_of_the_version(code: ReasonCode, old: ConnectCode) -> None:
    for level, answer in (
        (MQTT_3_1_1, ConnAck(old)),
        (MQTT_5, ConnAck(code, properties=Properties(reason_string="no"))),
    ):
        connection = Connection(LIMITS, 0.0)
        connection.receive(encode(connect_of(level)), 0.0)
        assert connection.refuse(code, "word", "no") == [Ended("word", "no")]
        assert connection.output() == encode(answer, level)


def test_who_wants_no_problem_information_gets_no_reason_string() -> None:
    connection = Connection(LIMITS, 0.0)
    connection.receive(encode(connect_of(request_problem_information=0)), 0.0)
    connection.refuse(ReasonCode.NOT_AUTHORIZED, "word", "no")
    assert connection.output() == encode(ConnAck(ReasonCode.NOT_AUTHORIZED), MQTT_5)


def test_who_takes_only_small_packets_is_told_that_it_is_not_let_in_but_not_why() -> None:
    connection = Connection(LIMITS, 0.0)
    connection.receive(encode(connect_of(maximum_packet_size=5)), 0.0)
    connection.refuse(ReasonCode.NOT_AUTHORIZED, "word", "no")
    assert connection.output() == encode(ConnAck(ReasonCode.NOT_AUTHORIZED), MQTT_5)


def test_a_client_that_cannot_take_the_answer_is_not_let_in() -> None:
    connect = connect_of(maximum_packet_size=4)
    connection = Connection(LIMITS, 0.0)
    connection.receive(encode(connect), 0.0)
    (ended,) = connection.accept(connect, new_session(), 0.0)
    assert isinstance(ended, Ended)
    assert connection.output() == b""


def test_no_authentication_method_is_offered() -> None:
    connection = Connection(LIMITS, 0.0)
    (ended,) = connection.receive(encode(connect_of(authentication_method="SCRAM")) + encode(PingReq()), 0.0)
    assert isinstance(ended, Ended)
    assert connection.output()[3:4] == bytes([ReasonCode.BAD_AUTHENTICATION_METHOD])
    assert connection.accept(connect_of(), new_session(), 0.0) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\x00\x04MQTT\x05\x01\x00\x00\x00\x00\x00", ReasonCode.MALFORMED_PACKET),
        (b"\x00\x04MQTT\x05\x02\x00\x00\x03\x21\x00\x00\x00\x00", ReasonCode.PROTOCOL_ERROR),
    ],
)
def test_a_connect_of_mqtt_5_that_breaks_a_rule_is_answered(body: bytes, code: ReasonCode) -> None:
    connection = Connection(LIMITS, 0.0)
    (ended,) = connection.receive(bytes((0x10, len(body))) + body, 0.0)
    assert isinstance(ended, Ended)
    assert connection.output() == encode(ConnAck(code), MQTT_5)


@pytest.mark.parametrize("first", [PingReq(), ConnAck(0)])
def test_a_stranger_that_does_not_begin_with_connect_gets_no_answer(first: Packet) -> None:
    connection = Connection(LIMITS, 0.0)
    (ended,) = connection.receive(encode(first), 0.0)
    assert isinstance(ended, Ended)
    assert connection.output() == b""
