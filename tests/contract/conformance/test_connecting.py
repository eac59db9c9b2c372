"""CONNECT and CONNACK: who is let in and how, what is told, and that nothing comes before."""

from __future__ import annotations

import string

import pytest
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import (
    MQTT_3_1_1,
    MQTT_5,
    ConnAck,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
)
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.reasons import ConnectCode, ReasonCode
from msgspec.structs import replace

from tests.contract.mqtt.serving import TELEMETRY, RawClient, Served, serving

LEVELS = [MQTT_3_1_1, MQTT_5]
READING = Publish(TELEMETRY, b'{"t":1}', 1, 1)


async def welcome(client: RawClient) -> ConnAck:
    """The answer to a CONNECT that is let in."""
    answer = await client.receive()
    assert isinstance(answer, ConnAck)
    assert answer.reason_code == 0
    return answer


@pytest.mark.parametrize("level", LEVELS)
async def test_connack_is_the_first_packet_and_comes_once_however_early_others_were_sent(
    served: Served, level: int
) -> None:
    client = await served.open(level)
    await client.send(served.connect(level=level), READING, PingReq())
    await welcome(client)
    rest: list[Packet] = [await client.receive() for _ in range(2)]
    assert sorted(type(one).__name__ for one in rest) == ["PingResp", "PubAck"]


@pytest.mark.parametrize("level", LEVELS)
async def test_nothing_behind_a_connect_that_is_refused_is_looked_at(served: Served, level: int) -> None:
    client = await served.open(level)
    await client.send(replace(served.connect(level=level), password=b"wrong"), READING, PingReq())
    answer, *rest = await client.receive_rest()
    assert isinstance(answer, ConnAck)
    assert (answer.reason_code, answer.session_present) == (
        ConnectCode.NOT_AUTHORIZED if level == MQTT_3_1_1 else ReasonCode.NOT_AUTHORIZED,
        False,
    )
    assert rest == []
    assert served.gateway.calls == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("length", [1, 23])
async def test_each_identifier_that_a_server_must_allow_is_allowed(served: Served, level: int, length: int) -> None:
    characters = string.digits + string.ascii_letters
    for at in range(0, len(characters), length):
        await served.client(client_id=characters[at : at + length], level=level)


async def test_a_client_of_mqtt_5_without_an_identifier_gets_one_of_its_own(served: Served) -> None:
    names = set[str]()
    for _ in range(3):
        client = await served.open(MQTT_5)
        await client.send(served.connect(level=MQTT_5))
        names.add((await welcome(client)).properties.assigned_client_identifier or "")
    assert len(names - {""}) == 3


async def test_a_client_of_3_1_1_without_an_identifier_must_want_a_clean_session(served: Served) -> None:
    await served.client()
    client = await served.open()
    await client.send(replace(served.connect(), clean_start=False))
    assert await client.receive_rest() == [ConnAck(ConnectCode.CLIENT_ID)]


@pytest.mark.parametrize(("level", "code"), [(MQTT_3_1_1, ConnectCode.CLIENT_ID), (MQTT_5, 0x85)])
async def test_an_identifier_that_is_not_taken_is_told_by_its_code(served: Served, level: int, code: int) -> None:
    client = await served.open(level)
    await client.send(replace(served.connect(level=level), client_id="c" * 300))
    (answer,) = await client.receive_rest()
    assert isinstance(answer, ConnAck)
    assert answer.reason_code == code


async def test_a_version_that_is_not_spoken_is_told_in_the_words_of_the_nearest_that_is(served: Served) -> None:
    for version, level, code in ((3, MQTT_3_1_1, 0x01), (6, MQTT_5, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION)):
        client = await served.open(level)
        body = b"\x00\x04MQTT" + bytes((version,)) + b"\x02\x00\x00\x00\x01c"
        await client.send_bytes(bytes((0x10, len(body))) + body)
        (answer,) = await client.receive_rest()
        assert isinstance(answer, ConnAck)
        assert answer.reason_code == code


async def test_an_authentication_method_is_refused_and_no_auth_is_ever_sent(served: Served) -> None:
    client = await served.open(MQTT_5)
    method = Properties(authentication_method="SCRAM-SHA-1", authentication_data=b"n,,n=one")
    await client.send(replace(served.connect(level=MQTT_5), properties=method))
    (answer,) = await client.receive_rest()
    assert isinstance(answer, ConnAck)
    assert answer.reason_code == ReasonCode.BAD_AUTHENTICATION_METHOD
    assert answer.properties.authentication_method is None


@pytest.mark.parametrize("level", LEVELS)
async def test_who_connects_under_the_same_identifier_ends_the_other_connection(served: Served, level: int) -> None:
    first = await served.client(client_id="same", level=level)
    await served.client(client_id="same", level=level)
    goodbye = await first.receive_rest()
    if level == MQTT_3_1_1:
        assert goodbye == []
        return
    (told,) = goodbye
    assert isinstance(told, Disconnect)
    assert told.reason_code == ReasonCode.SESSION_TAKEN_OVER


@pytest.mark.parametrize("level", LEVELS)
async def test_a_keep_alive_counts_as_the_client_has_set_it(level: int) -> None:
    async with serving(MqttLimits(packet_timeout_s=0.2)) as served:
        silent = await served.client(keep_alive_s=1, level=level)
        patient = await served.client("two", keep_alive_s=0, level=level)
        goodbye = await silent.receive_rest()
        assert [type(one) for one in goodbye] == ([] if level == MQTT_3_1_1 else [Disconnect])
        await patient.send(PingReq())
        assert await patient.receive() == PingResp()


async def test_a_session_is_not_told_to_be_there_where_a_clean_start_was_wanted(served: Served) -> None:
    for level in LEVELS:
        client = await served.open(level)
        await client.send(served.connect(client_id="new", level=level))
        assert not (await welcome(client)).session_present


async def test_the_bytes_of_connack_are_the_standard_s(served: Served) -> None:
    """Reserved flags are 0, no property is there that the client did not ask for or has to know."""
    client = await served.open()
    await client.send(served.connect())
    assert encode(await client.receive()) == b"\x20\x02\x00\x00"
    client = await served.open(MQTT_5)
    await client.send(served.connect(client_id="c", level=MQTT_5))
    told = (await welcome(client)).properties
    assert told == Properties(
        receive_maximum=told.receive_maximum,
        maximum_packet_size=told.maximum_packet_size,
        topic_alias_maximum=told.topic_alias_maximum,
    )


@pytest.mark.parametrize("asked", [None, 0])
async def test_response_information_is_not_told_to_who_did_not_ask(served: Served, asked: int | None) -> None:
    client = await served.open(MQTT_5)
    await client.send(replace(served.connect(level=MQTT_5), properties=Properties(request_response_information=asked)))
    assert (await welcome(client)).properties.response_information is None


async def test_a_packet_larger_than_the_server_takes_is_refused_with_its_reason() -> None:
    async with serving(MqttLimits(payload_bytes=1000)) as served:
        client = await served.open(MQTT_5)
        await client.send(served.connect(level=MQTT_5))
        limit = (await welcome(client)).properties.maximum_packet_size or 0
        await client.send(Publish(TELEMETRY, b"x" * limit, 1, 1))
        (goodbye,) = await client.receive_rest()
        assert isinstance(goodbye, Disconnect)
        assert goodbye.reason_code == ReasonCode.PACKET_TOO_LARGE


async def test_each_topic_alias_up_to_the_maximum_that_was_told_is_taken(served: Served) -> None:
    client = await served.open(MQTT_5)
    await client.send(served.connect(level=MQTT_5))
    maximum = (await welcome(client)).properties.topic_alias_maximum or 0
    assert maximum
    for alias in (1, maximum):
        told = Properties(topic_alias=alias)
        await client.send(
            replace(READING, packet_id=alias, properties=told),
            replace(READING, topic="", packet_id=100 + alias, properties=told),
        )
        assert [await client.receive() for _ in range(2)] == [PubAck(alias), PubAck(100 + alias)]
